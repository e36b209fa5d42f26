#!/usr/bin/env bash
# Tool: oras 0.2.43 (PyPI), the Python client of the ORAS project; docker-registry 2.8.2 (Debian 12) on this
#   machine as the registry.
# Expected: what push() takes, pull() gives back. The title of a file is the path as it was given, as in
#   the command oras of the same project. An annotation file annotates what it names.
# Seen: the title is the last part of the path. Of two files of one name in two folders, both are in the
#   registry, and pull() writes one over the other: one file is there, and the returned list has its path
#   twice. A folder that is given with a slash at the end, as shells complete it, has the title "": its
#   files arrive without the folder, and the returned path does not exist. Annotations of a folder are
#   dropped, since they are looked up under the name of a temporary archive. There is no message. Output:
#     dev/config.json live/config.json: titles config.json config.json; pulled config.json (live); returned 2, different 1
#     site: titles site; pulled site/index.html (page); returned 1, different 1
#     site/: titles (empty); pulled index.html (page); returned 1, different 1, missing 1
#     annotated: file yes, folder no
# Matters: a release that pushes one config.json per environment gives all readers the last one. The digest
#   of the artifact is right, and the registry has the lost file.
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
python3 -m venv v
v/bin/pip install -q oras==0.2.43
mkdir dev live site
echo dev >dev/config.json; echo live >live/config.json; echo page >site/index.html
cat >notes.json <<'JSON'
{"dev/config.json": {"note": "file"}, "site": {"note": "folder"}}
JSON
cat >a.py <<'PY'
import os, sys, time, urllib.request
import oras.client

address = f"127.0.0.1:{sys.argv[1]}"
for _ in range(300):
    try:
        urllib.request.urlopen(f"http://{address}/v2/")
        break
    except OSError:
        time.sleep(0.1)
client = oras.client.OrasClient(insecure=True)


def push(name, files, **options):
    target = f"{address}/{name}:1"
    client.push(target=target, files=files, quiet=True, **options)
    return target, [layer["annotations"] for layer in client.get_manifest(target)["layers"]]


for number, files in enumerate((["dev/config.json", "live/config.json"], ["site"], ["site/"])):
    target, annotations = push(f"app{number}", files)
    titles = " ".join(a["org.opencontainers.image.title"] or "(empty)" for a in annotations)
    out = f"out{number}"
    returned = client.pull(target=target, outdir=out)
    paths = [os.path.join(folder, file) for folder, _, names in os.walk(out) for file in names]
    pulled = ", ".join(f"{os.path.relpath(path, out)} ({open(path).read().strip()})" for path in sorted(paths))
    missing = sum(not os.path.exists(path) for path in returned)
    print(f"{' '.join(files)}: titles {titles}; pulled {pulled}; returned {len(returned)},"
          f" different {len(set(returned))}{f', missing {missing}' if missing else ''}")
_, annotations = push("notes", ["dev/config.json", "site"], annotation_file="notes.json")
print("annotated:", ", ".join(f"{kind} {'yes' if 'note' in a else 'no'}" for kind, a in zip(("file", "folder"), annotations)))
PY
got=$(v/bin/python a.py "$port" 2>py.log)
want='dev/config.json live/config.json: titles config.json config.json; pulled config.json (live); returned 2, different 1
site: titles site; pulled site/index.html (page); returned 1, different 1
site/: titles (empty); pulled index.html (page); returned 1, different 1, missing 1
annotated: file yes, folder no'
echo "$got"; [ "$got" = "$want" ]
