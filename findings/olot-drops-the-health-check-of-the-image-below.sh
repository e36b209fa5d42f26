#!/usr/bin/env bash
# Tool: olot 1.2.1 (PyPI, 2026), which puts files as layers on top of an image in an OCI
#   layout.
# Expected: the configuration of the image stays as it was, but for the layer, its history
#   and the labels that are given.
# Seen: the configuration is read into a model and written from it. What the model does
#   not know is gone, with exit status 0 and no message: the health check, shell and
#   triggers that builders write, and os.version and os.features of the image
#   specification. Times lose three digits. Output:
#     kept: architecture author config.Cmd config.Env config.User os variant
#     lost: config.Healthcheck config.OnBuild config.Shell os.features os.version
#     created: 2026-01-01T00:00:00.123456789Z -> 2026-01-01T00:00:00.123456Z
# Matters: a server that gets a file this way is never seen as unhealthy again, and an
#   image for one version of an operating system is offered to all.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q olot==1.2.1
cat >a.py <<'PY'
import hashlib, io, json, os, subprocess, tarfile

os.makedirs("image/blobs/sha256")


def blob(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    open(f"image/blobs/sha256/{digest}", "wb").write(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}


def flat(config):
    inner = {f"config.{key}": value for key, value in config["config"].items()}
    return {**inner, **{key: value for key, value in config.items() if key not in ("config", "created", "rootfs", "history")}}


stream = io.BytesIO()
tarfile.open(fileobj=stream, mode="w").close()
layer = blob(stream.getvalue(), "layer.v1.tar")
created = "2026-01-01T00:00:00.123456789Z"
before = {
    "architecture": "arm", "variant": "v7", "os": "linux", "os.version": "6.1", "os.features": ["a"], "author": "team",
    "created": created,
    "config": {
        "Env": ["A=b"], "Cmd": ["serve"], "User": "1000", "Shell": ["/bin/bash", "-c"], "OnBuild": ["RUN make"],
        "Healthcheck": {"Test": ["CMD", "probe"], "Interval": 5000000000},
    },
    "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    "history": [{"created": created, "created_by": "COPY . /"}],
}
config = blob(json.dumps(before).encode(), "config.v1+json")
manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]}
index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), "manifest.v1+json")]}
json.dump({**index, "mediaType": "application/vnd.oci.image.index.v1+json"}, open("image/index.json", "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open("image/oci-layout", "w"))
open("model.bin", "w").write("data")
subprocess.run(["v/bin/olot", "image", "model.bin"], check=True)


def read(descriptor):
    return json.load(open("image/blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")))


(manifest,) = json.load(open("image/index.json"))["manifests"]
after = read(read(manifest)["config"])
old, new = flat(before), flat(after)
print("kept:", *sorted(key for key in old if new.get(key) == old[key]))
print("lost:", *sorted(key for key in old if key not in new))
print("created:", created, "->", after["created"])
PY
got=$(v/bin/python a.py 2>log)
want='kept: architecture author config.Cmd config.Env config.User os variant
lost: config.Healthcheck config.OnBuild config.Shell os.features os.version
created: 2026-01-01T00:00:00.123456789Z -> 2026-01-01T00:00:00.123456Z'
echo "$got"; [ "$got" = "$want" ] || { cat log; exit 1; }
