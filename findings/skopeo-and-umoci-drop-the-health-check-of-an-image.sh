#!/usr/bin/env bash
# Tool: skopeo 1.9.3+ds1-1+b10 and umoci 0.4.7+ds-3+b7 (Debian 12).
# Expected: `skopeo copy` of an image of docker to an OCI layout keeps its configuration,
#   or warns. BuildKit, too, writes HEALTHCHECK, ONBUILD and SHELL into the configuration
#   of OCI images. `umoci config --author` changes the author.
# Seen: skopeo copies an OCI image as it is. When it converts docker's format, it writes
#   the configuration anew with the fields that the OCI specification names: Healthcheck,
#   OnBuild, Shell and StopTimeout are gone, without a message, and a copy back to docker's
#   format does not have them. umoci removes the same fields from an OCI image that has
#   them, whatever it changes. Output, the fields that are left:
#     skopeo, from docker to OCI: Cmd
#     skopeo, there and back: Cmd
#     skopeo, from OCI to OCI: Cmd Healthcheck OnBuild Shell StopTimeout
#     umoci, another author: Cmd
# Matters: an image that was mirrored through an OCI layout runs without its health check
#   and is killed after 10 s where it asked for 60; a build on it runs without its triggers
#   and with another shell.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q skopeo=1.9.3+ds1-1+b10 umoci=0.4.7+ds-3+b7 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TMPDIR=$dir
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
cat >image.py <<'PY'
import hashlib, io, json, os, sys, tarfile


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob(descriptor):
    return json.load(open(f"{sys.argv[2]}/blobs/{descriptor['digest'].replace(':', '/')}"))


def write():
    layer = archive([("file", b"content")])
    config = json.dumps({"architecture": "amd64", "os": "linux", "history": [{}],
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "config": {"Cmd": ["/file"], "Shell": ["/bin/bash", "-c"], "OnBuild": ["RUN make"], "StopTimeout": 60,
                   "Healthcheck": {"Test": ["CMD", "/file"], "Interval": 5000000000}}}).encode()
    names = json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": ["0.tar"]}]).encode()
    open("docker.tar", "wb").write(archive([("c.json", config), ("0.tar", layer), ("manifest.json", names)]))
    kind = "application/vnd.oci.image."
    os.makedirs("layout/blobs/sha256")

    def put(media, data):
        open("layout/blobs/" + digest(data).replace(":", "/"), "wb").write(data)
        return {"mediaType": kind + media, "digest": digest(data), "size": len(data)}
    manifest = put("manifest.v1+json", json.dumps({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
        "config": put("config.v1+json", config), "layers": [put("layer.v1.tar", layer)]}).encode())
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "a"}
    json.dump({"schemaVersion": 2, "manifests": [manifest]}, open("layout/index.json", "w"))
    json.dump({"imageLayoutVersion": "1.0.0"}, open("layout/oci-layout", "w"))


if sys.argv[1] == "write":
    write()
elif sys.argv[2].endswith(".tar"):
    with tarfile.open(sys.argv[2]) as tar:
        name = json.load(tar.extractfile("manifest.json"))[0]["Config"]
        print(*sorted(json.load(tar.extractfile(name))["config"]))
else:
    index = json.load(open(sys.argv[2] + "/index.json"))
    print(*sorted(blob(blob(index["manifests"][0])["config"])["config"]))
PY
python3 image.py write
copy() { deb/usr/bin/skopeo copy -q --policy policy.json "$@"; }
copy docker-archive:docker.tar oci:converted:a
copy oci:converted:a docker-archive:back.tar:a:b
copy oci:layout:a oci:copied:a
deb/usr/bin/umoci config --image layout:a --author "A. Person"
got="skopeo, from docker to OCI: $(python3 image.py read converted)
skopeo, there and back: $(python3 image.py read back.tar)
skopeo, from OCI to OCI: $(python3 image.py read copied)
umoci, another author: $(python3 image.py read layout)"
want='skopeo, from docker to OCI: Cmd
skopeo, there and back: Cmd
skopeo, from OCI to OCI: Cmd Healthcheck OnBuild Shell StopTimeout
umoci, another author: Cmd'
echo "$got"; [ "$got" = "$want" ]
