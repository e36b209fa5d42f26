#!/usr/bin/env bash
# Tool: pgzip 0.4.0 (PyPI); Python's gzip and GNU gzip for comparison.
# Expected: the extra field of a gzip header, part of the format since 1996, is
#   skipped.
# Seen: pgzip does not skip it. It decompresses from a wrong place and fails with
#   "invalid stored block lengths". A name in the header is skipped.
# Matters: eStargz layers end in such a header, and bgzip and dictzip write one at
#   the start of each file.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps pgzip==0.4.0
cat >a.py <<'PY'
import gzip, struct, subprocess, zlib
import pgzip

def member(data, extra=b"", name=b""):
    flags = (4 if extra else 0) | (8 if name else 0)
    head = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff"
    if extra:
        head += struct.pack("<H", len(extra)) + extra
    if name:
        head += name + b"\0"
    body = zlib.compressobj(6, zlib.DEFLATED, -15)
    return head + body.compress(data) + body.flush() + struct.pack("<II", zlib.crc32(data), len(data))

data = bytes(range(256)) * 400
footer = b"SG" + struct.pack("<H", 22) + b"%016xSTARGZ" % 1234
random_access = b"RA" + struct.pack("<H", 8) + struct.pack("<HHHH", 1, 60000, 1, 100)
files = {
    "plain": member(data),
    "name": member(data, name=b"layer.tar"),
    "dictzip": member(data, extra=random_access),
    "eStargz": member(data) + member(b"", extra=footer),
}
for kind, content in files.items():
    open("a.gz", "wb").write(content)
    assert gzip.decompress(content) == data
    assert subprocess.run(["gzip", "-dc", "a.gz"], capture_output=True, check=True).stdout == data
    try:
        result = pgzip.open("a.gz", "rb").read() == data
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    print(kind, result)
PY
got=$(v/bin/python a.py)
want='plain True
name True
dictzip error: Error -3 while decompressing data: invalid stored block lengths
eStargz error: Error -3 while decompressing data: invalid block type'
echo "$got"; [ "$got" = "$want" ]
