#!/usr/bin/env bash
# Tool: mgzip 0.2.5 (PyPI), which presents itself as a multi-threaded gzip module with
#   the interface of Python's own; Python's gzip and tarfile for comparison.
# Expected: a file that mgzip wrote can be read, positioned and used by tarfile as with
#   gzip.open(), from the same bytes.
# Seen: in a file of its own format, seek() after a read goes to the start of a later
#   block and returns 0, and tell() counts from there. After a whole read, seek(0)
#   followed by read() gives nothing. tarfile, which positions the file after each header, finds one
#   of three files, with wrong content. No error is raised. Output:
#     gzip: seek 5000000, line 0500000, back at the start 10000000 bytes, size 10000000
#     mgzip: seek 0, line 0600000, back at the start 0 bytes, size 0
#     gzip: archive of a, b, c; a is right: True
#     mgzip: archive of a; a is right: False
# Matters: a layer that is packed and read back with it has one file, and a program
#   that indexes a log by position gets other lines.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps mgzip==0.2.5
cat >a.py <<'PY'
import gzip, io, tarfile
import mgzip

lines = b"".join(b"%07d..\n" % n for n in range(1_000_000))
with mgzip.open("lines.gz", "wb", thread=2, blocksize=1_000_000) as file:
    file.write(lines)
contents = {name: name.encode() * 3_000_000 for name in "abc"}
with mgzip.open("layer.tar.gz", "wb", thread=2, blocksize=1_000_000) as file:
    with tarfile.open(fileobj=file, mode="w|") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

for module in (gzip, mgzip):
    file = module.open("lines.gz", "rb")
    file.read(10)
    position = file.seek(5_000_000)
    line = file.read(7).decode()
    file.read()
    file.seek(0)
    again = len(file.read())
    file.seek(0, 2)
    print(f"{module.__name__}: seek {position}, line {line}, back at the start {again} bytes, size {file.tell()}")
for module in (gzip, mgzip):
    archive = tarfile.open(fileobj=module.open("layer.tar.gz", "rb"))
    names = archive.getnames()
    right = archive.extractfile("a").read() == contents["a"]
    print(f"{module.__name__}: archive of {', '.join(names)}; a is right: {right}")
PY
got=$(v/bin/python a.py)
want='gzip: seek 5000000, line 0500000, back at the start 10000000 bytes, size 10000000
mgzip: seek 0, line 0600000, back at the start 0 bytes, size 0
gzip: archive of a, b, c; a is right: True
mgzip: archive of a; a is right: False'
echo "$got"; [ "$got" = "$want" ]
