#!/usr/bin/env bash
# Tool: pyfastcdc 0.3.1 (PyPI, 2026), content-defined chunking for Python.
# Expected: a chunk is what it was when it was given out, with the bytes that belong to its offset and
#   length. FastCDC has three methods that give the same chunks: of a buffer, a file and a stream.
# Seen: cut_buf() and cut_file() do that. The data of a chunk of cut_stream() is a view of a buffer that
#   later chunks overwrite. A program that keeps chunks, in a list, a queue or for the threads of a pool, has
#   chunks of the right number, offset and length with the bytes of other places, without an error. A loop
#   that uses each chunk at once is right, and the README shows only that. The stub for type checkers
#   (__init__.pyi) has the warning; help() shows no text for the method. Output, chunks that are right when
#   all are collected first, and when each is used after the next one was fetched:
#     buffer: 41 chunks, collected 41, one later 41
#     file: 41 chunks, collected 41, one later 41
#     stream: 41 chunks, collected 1, one later 30
# Matters: a store compresses chunks on several threads, since that is the slow part. It then files wrong
#   bytes when it reads from a pipe, and right ones when it is tried with a file.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q pyfastcdc==0.3.1
cat >a.py <<'PY'
import io, random
from pyfastcdc import FastCDC

random.seed(2)
data = random.randbytes(3 << 20)
open("file", "wb").write(data)
cdc = FastCDC(avg_size=65536, min_size=16384, max_size=524288)
ways = {
    "buffer": lambda: cdc.cut_buf(data),
    "file": lambda: cdc.cut_file("file"),
    "stream": lambda: cdc.cut_stream(io.BytesIO(data)),
}


def right(chunk):
    return bytes(chunk.data) == data[chunk.offset:chunk.offset + chunk.length]


def one_later(chunks):
    held = next(chunks)
    for chunk in chunks:
        yield right(held)
        held = chunk
    yield right(held)


for name, cut in ways.items():
    assert all(right(chunk) for chunk in cut())  # each chunk used at once
    kept = list(cut())
    print(f"{name}: {len(kept)} chunks, collected {sum(map(right, kept))}, one later {sum(one_later(iter(cut())))}")
PY
got=$(v/bin/python a.py)
want='buffer: 41 chunks, collected 41, one later 41
file: 41 chunks, collected 41, one later 41
stream: 41 chunks, collected 1, one later 30'
echo "$got"; [ "$got" = "$want" ]
