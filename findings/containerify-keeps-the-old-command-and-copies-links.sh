#!/usr/bin/env bash
# Tool: containerify 4.1.0 (npm, 2026), which builds images of Node programs without docker; a
#   registry with one base image is played by Python on this machine.
# Expected: a new entry point clears the command of the base image, as ENTRYPOINT in a
#   Dockerfile does, and the links of the folder, such as those that npm makes in
#   node_modules/.bin, are links in the layer.
# Seen: the command of the base image stays and becomes an argument of `npm start`. Each link is
#   a copy of what it points to, a folder with all that is in it. A program in .bin that loads a
#   file next to itself is not found any more. No message is shown. Output, for a base image with
#   the command `node`, as the official ones of Node have it:
#     the container runs: npm start node
#     folder: .bin/tool is a symbolic link, prints library
#     image: .bin/tool is a regular file, fails with MODULE_NOT_FOUND
# Matters: the program gets an argument that nobody gave it, and scripts that call tools from
#   node_modules/.bin work in the folder and fail in the container.
set -euo pipefail
dir=$(mktemp -d); server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts containerify@4.1.0
cat >registry.py <<'PY'
import gzip, hashlib, http.server, io, json, tarfile

blobs = {}


def put(kind, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": "application/vnd.docker." + kind, "digest": digest, "size": len(data)}


out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as tar:
    tar.addfile(tarfile.TarInfo("base"))
layer = out.getvalue()
config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["node"]}, "history": [{}],
          "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
kind = "distribution.manifest.v2+json"
manifest = put(kind, json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker." + kind,
    "config": put("container.image.v1+json", json.dumps(config).encode()),
    "layers": [put("image.rootfs.diff.tar.gzip", gzip.compress(layer))]}).encode())


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        media, digest = "application/octet-stream", self.path.split("/")[-1]
        if "/manifests/" in self.path:
            media, digest = manifest["mediaType"], manifest["digest"]
        data = blobs.get(digest, b"{}")
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Docker-Content-Digest", digest)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
with open("port", "w") as file:
    print(server.server_port, file=file)
server.serve_forever()
PY
python3 registry.py & server=$!
while [ ! -s port ]; do sleep 0.1; done
mkdir -p app/node_modules/.bin app/node_modules/tool/bin app/node_modules/tool/lib
echo '{"name":"app","version":"1.0.0","dependencies":{"tool":"1.0.0"}}' >app/package.json
echo '{"lockfileVersion":3}' >app/package-lock.json
echo "require('../lib/library');" >app/node_modules/tool/bin/tool.js
echo "console.log('library');" >app/node_modules/tool/lib/library.js
echo "require('tool/lib/library');" >app/index.js
ln -s ../tool/bin/tool.js app/node_modules/.bin/tool
npx containerify --fromImage base:1 --fromRegistry "http://127.0.0.1:$(cat port)/v2/" --allowInsecureRegistries \
  --toImage app:1 --folder app --toTar image.tar >containerify.log 2>&1
mkdir image files
tar -xf image.tar -C image
for layer in image/*.tar.gz; do tar -xzf "$layer" -C files 2>/dev/null; done
try() { # NAME FOLDER
  local printed
  printed=$(node "$2/node_modules/.bin/tool" 2>messages && echo) || printed=
  [ -n "$printed" ] && printed="prints $printed" || printed="fails with $(grep -o MODULE_NOT_FOUND messages)"
  echo "$1: .bin/tool is a $(stat -c %F "$2/node_modules/.bin/tool"), $printed"
}
{
  python3 -c 'import json; c = json.load(open("image/config.json"))["config"]; print("the container runs:", *c["Entrypoint"], *c["Cmd"])'
  try folder app
  try image files/app
} >got
want='the container runs: npm start node
folder: .bin/tool is a symbolic link, prints library
image: .bin/tool is a regular file, fails with MODULE_NOT_FOUND'
cat got; [ "$(cat got)" = "$want" ]
