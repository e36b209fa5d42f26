#!/usr/bin/env bash
# Tool: indexed-zstd 1.7.2 (PyPI, 2026), with which ratarmountcore 0.11.1 (PyPI) reads
#   zstd archives; zstd 1.5.4 (Debian 12, installed).
# Expected: a frame without data changes nothing. zstd writes one for an empty input, and the
#   format allows frames of any size one after the other.
# Seen: read() returns what comes before that frame, while seek(0, 2) goes to the size of the
#   whole and a seek behind the frame finds the right bytes. ratarmount lists one of three
#   files. Nothing is reported. Output, for an archive of 3 MB in two parts:
#     zstd: 3010560 bytes
#     two frames: read 3010560, size 3010560, files a b c
#     an empty frame between them: read 1000960, size 3010560, files a
# Matters: a log or an archive that is appended to in rounds gets an empty frame in a round
#   without data. All that follows is then missing, and its size still looks right.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q indexed-zstd==1.7.2 ratarmountcore==0.11.1
cat >a.py <<'PY'
import contextlib, io, subprocess, tarfile
from indexed_zstd import IndexedZstdFile
from ratarmountcore.mountsource.factory import open_mount_source

def zstd(data, *options):
    command = ["zstd", "-q", "-c", *options]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout

out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as archive:
    for name in "abc":
        member = tarfile.TarInfo(name)
        member.size = 1_000_000
        archive.addfile(member, io.BytesIO(name.encode() * member.size))
data = out.getvalue()
first, second = data[:1_000_960], data[1_000_960:]
print(f"zstd: {len(zstd(zstd(first) + zstd(b'') + zstd(second), '-d'))} bytes")
for name, parts in (("two frames", [first, second]), ("an empty frame between them", [first, b"", second])):
    path = f"{len(parts)}.tar.zst"
    with open(path, "wb") as file:
        file.write(b"".join(map(zstd, parts)))
    file = IndexedZstdFile(path)
    read = len(file.read())
    file.seek(2_000_000)
    assert file.read(100) == data[2_000_000:2_000_100]
    file.seek(0, 2)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress
        source = open_mount_source(path, recreateIndex=True)
    print(f"{name}: read {read}, size {file.tell()}, files {' '.join(sorted(source.list('/')))}")
PY
got=$(v/bin/python a.py)
want='zstd: 3010560 bytes
two frames: read 3010560, size 3010560, files a b c
an empty frame between them: read 1000960, size 3010560, files a'
echo "$got"; [ "$got" = "$want" ]
