#!/usr/bin/env bash
# Tool: dockerize2 0.5.2 (PyPI, 2026), which packs a program and its libraries into an image.
# Expected: the annotations that OCI defines (licenses, source, version) describe what is in the
#   image, so a tool that does not know them leaves them out; with a command given, the image
#   runs this command.
# Seen: they describe dockerize2: each image is under the GPL and has version 0.5.2. With `-c`,
#   the program is the entry point as well, so the container runs the program with its own
#   path as the first argument. Output, for /bin/echo of coreutils with `-c "/bin/echo hello"`:
#     licenses GPL-3.0-or-later, version 0.5.2, source dockerize2
#     entry point /bin/echo, command /bin/echo hello
# Matters: registries, update tools and licence reports read these labels. An image of a
#   program under another licence is reported as GPL, and all have the same version.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q dockerize2==0.5.2
v/bin/dockerize --output-oci image.tar -t demo:1 -c '/bin/echo hello' /bin/echo 2>run.log
tar -xf image.tar
cat >a.py <<'PY'
import json
def blob(descriptor):
    return json.load(open("blobs/" + descriptor["digest"].replace(":", "/")))
config = blob(blob(json.load(open("index.json"))["manifests"][0])["config"])["config"]
label = {key.rsplit(".", 1)[-1]: value for key, value in config["Labels"].items()}
print(f"licenses {label['licenses']}, version {label['version']}, source {label['source'].rsplit('/', 1)[-1]}")
print("entry point", *config["Entrypoint"], end=", ")
print("command", *config["Cmd"])
PY
got=$(python3 a.py)
want='licenses GPL-3.0-or-later, version 0.5.2, source dockerize2
entry point /bin/echo, command /bin/echo hello'
echo "$got"; [ "$got" = "$want" ]
