#!/usr/bin/env bash
# Tool: fastar 0.12.0 (PyPI, 2026), a wrapper of the Rust crate tar; Python's tarfile for
#   comparison.
# Expected: a gzip file of several members is unpacked whole, as gzip, tar and tarfile do. A
#   pipe in the archive is created or skipped, and a date before 1970 is kept or replaced by 0.
# Seen: with r:gz and with the automatic mode, what comes after the first gzip member is left
#   out without an error; r:zst reads all frames. A pipe becomes an empty regular file, and the
#   two seconds before 1970 of a pax archive become one second after its start. Output:
#     tarfile, gzip: a b c
#     fastar r:gz: a
#     fastar r: a
#     fastar r:zst: a b c
#     pipe: regular empty file, dated 1
# Matters: seekable layers (eStargz, SOCI, pigz --independent, bgzip) have a member per file or
#   block. An archive loses all but its first file, and no size or checksum shows it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q fastar==0.12.0
cat >a.py <<'PY'
import gzip, io, os, shutil, stat, subprocess, tarfile
import fastar

out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as archive:
    for name in "abc":
        member = tarfile.TarInfo(name)
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
data = out.getvalue()
parts = [data[:1024], data[1024:2048], data[2048:]]
zstd = lambda part: subprocess.run(["zstd", "-q", "-c"], input=part, stdout=subprocess.PIPE, check=True).stdout
open("layer.tar.gz", "wb").write(b"".join(map(gzip.compress, parts)))
open("layer.tar.zst", "wb").write(b"".join(map(zstd, parts)))
with tarfile.open("pipe.tar", "w", format=tarfile.PAX_FORMAT) as archive:
    member = tarfile.TarInfo("pipe")
    member.type, member.mtime = tarfile.FIFOTYPE, -2
    member.pax_headers = {"mtime": "-2"}
    archive.addfile(member)

def unpack(path, mode):
    shutil.rmtree("out", ignore_errors=True)
    with fastar.open(path, mode) as archive:
        archive.unpack("out")
    return " ".join(sorted(os.listdir("out")))

print("tarfile, gzip:", *tarfile.open("layer.tar.gz").getnames())
print("fastar r:gz:", unpack("layer.tar.gz", "r:gz"))
print("fastar r:", unpack("layer.tar.gz", "r"))
print("fastar r:zst:", unpack("layer.tar.zst", "r:zst"))
unpack("pipe.tar", "r")
found = os.stat("out/pipe")
kind = "regular empty file" if stat.S_ISREG(found.st_mode) and not found.st_size else "other"
print(f"pipe: {kind}, dated {int(found.st_mtime)}")
PY
got=$(v/bin/python a.py)
want='tarfile, gzip: a b c
fastar r:gz: a
fastar r: a
fastar r:zst: a b c
pipe: regular empty file, dated 1'
echo "$got"; [ "$got" = "$want" ]
