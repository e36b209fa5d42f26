#!/usr/bin/env bash
# Tool: docker-registry 2.8.2+ds1-1 (Debian 12, Docker Distribution),
#   `garbage-collect --delete-untagged`, on a local port.
# Expected: what a tag leads to is kept, also if the tag names an index and the index
#   names one manifest per platform.
# Seen: only the manifest that carries the tag counts as tagged. The manifests of the
#   platforms have no tag of their own and are deleted, with their layers; the index stays
#   and leads to nothing. The exit status is 0. Output, the status of each request:
#     before: plain image 200, index 200, its manifest 200, its layer 200
#     after: plain image 200, index 200, its manifest 404, its layer 404
# Matters: builders push an index even for one platform, when they add an attestation. The
#   clean-up of a registry for base images or caches breaks all of them and no old image.
set -euo pipefail
dir=$(mktemp -d); cd "$dir"
trap 'kill "$registry" 2>/dev/null || true; rm -rf "$dir"' EXIT
apt-get download -q docker-registry=2.8.2+ds1-1 >apt.log 2>&1
dpkg-deb -x docker-registry_*.deb deb
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >config.yml <<YML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $PWD/data}}
http: {addr: 127.0.0.1:$port}
YML
deb/usr/bin/docker-registry serve config.yml >registry.log 2>&1 & registry=$!
cat >a.py <<'PY'
import hashlib, json, sys, time, urllib.error, urllib.request

url = f"http://127.0.0.1:{sys.argv[1]}/v2/app/"


def call(method, path, data=None, kind="application/octet-stream"):
    address = path if path.startswith("http") else url + path
    headers = {"Content-Type": kind, "Accept": f"{INDEX}, {MANIFEST}"}
    request = urllib.request.Request(address, data=data, method=method, headers=headers)
    try:
        return urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        return error


INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"


def descriptor(data, kind):
    return {"mediaType": kind, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}


def push(data, kind):
    part = descriptor(data, kind)
    place = call("POST", "blobs/uploads/").headers["Location"]
    call("PUT", f"{place}&digest={part['digest']}", data)
    return part


def manifest(text, tag=None):
    layer = push(f"layer of {text}".encode(), LAYER)
    config = push(json.dumps({"os": "linux", "architecture": text}).encode(), CONFIG)
    body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}).encode()
    part = descriptor(body, MANIFEST)
    call("PUT", f"manifests/{tag or part['digest']}", body, MANIFEST)
    return part, layer


for _ in range(100):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/v2/")
        break
    except OSError:
        time.sleep(0.1)
if sys.argv[2] == "push":
    manifest("plain", "plain")
    part, layer = manifest("amd64")
    part["platform"] = {"os": "linux", "architecture": "amd64"}
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [part]}).encode()
    call("PUT", "manifests/multi", body, INDEX)
    json.dump([part["digest"], layer["digest"]], open("digests.json", "w"))
child, layer = json.load(open("digests.json"))
paths = {"plain image": "manifests/plain", "index": "manifests/multi", "its manifest": f"manifests/{child}", "its layer": f"blobs/{layer}"}
print(", ".join(f"{name} {call('HEAD', path).status}" for name, path in paths.items()))
PY
before=$(python3 a.py "$port" push)
kill "$registry"; wait "$registry" || true
deb/usr/bin/docker-registry garbage-collect --delete-untagged config.yml >collect.log 2>&1
deb/usr/bin/docker-registry serve config.yml >registry.log 2>&1 & registry=$!
got="before: $before
after: $(python3 a.py "$port" look)"
want='before: plain image 200, index 200, its manifest 200, its layer 200
after: plain image 200, index 200, its manifest 404, its layer 404'
echo "$got"; [ "$got" = "$want" ]
