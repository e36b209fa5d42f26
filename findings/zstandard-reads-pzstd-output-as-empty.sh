#!/usr/bin/env bash
# Tool: zstandard 0.25.0 (PyPI), pyzstd 0.20.0 (PyPI) and pzstd from zstd
#   1.5.4+dfsg2-5 (Debian 12).
# Expected: each way to decompress reads the output of pzstd, which is standard:
#   a skippable frame, then data frames.
# Seen: decompress() raises. decompressobj().decompress() and read_to_iter()
#   return nothing and raise nothing. copy_stream() and stream_reader().read()
#   give the data; stream_reader().read(n) stops after each frame once.
#   frame_content_size() is 0. pyzstd reads all.
# Matters: a layer packed by pzstd, zstd:chunked or a seekable writer may start
#   with a skippable frame, and the reader sees an empty layer.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps zstandard==0.25.0 pyzstd==0.20.0 backports-zstd==1.8.0 typing-extensions==4.16.0
apt-get download -q zstd=1.5.4+dfsg2-5 >apt.log 2>&1
dpkg-deb -x zstd_*.deb deb
seq 10000 >data
deb/usr/bin/pzstd -q data -o data.zst
got=$(v/bin/python - <<'PY'
import io, pyzstd, zstandard
packed, data = open("data.zst", "rb").read(), open("data", "rb").read()
def copy():
    out = io.BytesIO()
    zstandard.ZstdDecompressor().copy_stream(io.BytesIO(packed), out)
    return out.getvalue()
for name, read in {
    "decompress": lambda: zstandard.decompress(packed),
    "decompressobj": lambda: zstandard.ZstdDecompressor().decompressobj().decompress(packed),
    "read_to_iter": lambda: b"".join(zstandard.ZstdDecompressor().read_to_iter(io.BytesIO(packed))),
    "stream_reader": lambda: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read(),
    "copy_stream": copy,
    "pyzstd": lambda: pyzstd.decompress(packed),
}.items():
    try:
        out = read()
        print(name, "all" if out == data else f"{len(out)} bytes")
    except Exception as error:
        print(name, type(error).__name__)
print("frame_content_size", zstandard.frame_content_size(packed))
PY
)
want='decompress ZstdError
decompressobj 0 bytes
read_to_iter 0 bytes
stream_reader all
copy_stream all
pyzstd all
frame_content_size 0'
echo "$got"; [ "$got" = "$want" ]
