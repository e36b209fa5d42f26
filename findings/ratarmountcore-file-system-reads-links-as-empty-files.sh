#!/usr/bin/env bash
# Tool: ratarmountcore 0.11.1 (PyPI), its fsspec file system "ratar"; fsspec 2026.9.0 with
#   its own "tar" file system for comparison.
# Expected: a hard link or a symbolic link in an archive reads as the file that it names,
#   as in the mounted archive and in fsspec's own reader; an empty folder is there.
# Seen: both kinds of links are files of size 0. Reading them gives no bytes and no
#   error. An empty folder is "not found", though its parent lists it. Output, the
#   content of each name:
#     tar: first b'one\n', hard b'one\n', soft b'one\n', folder []
#     ratar: first b'one\n', hard b'', soft b'', folder FileNotFoundError
# Matters: package folders and interpreters in a layer are full of links. A tool that
#   hashes or searches the layer through the library sees empty files.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q ratarmountcore==0.11.1 fsspec==2026.9.0
mkdir -p tree/folder; echo one >tree/first; ln tree/first tree/hard; ln -s first tree/soft
tar -cf a.tar -C tree first hard soft folder
cat >a.py <<'PY'
import contextlib, io
import fsspec

for name in "tar", "ratar":
    with contextlib.redirect_stdout(io.StringIO()):
        files = fsspec.get_filesystem_class(name)("a.tar")
    parts = [f"{path} {files.cat(path)}" for path in ("first", "hard", "soft")]
    try:
        parts.append(f"folder {files.ls('folder')}")
    except OSError as error:
        parts.append(f"folder {type(error).__name__}")
    print(f"{name}: {', '.join(parts)}")
PY
got=$(v/bin/python a.py)
want="tar: first b'one\n', hard b'one\n', soft b'one\n', folder []
ratar: first b'one\n', hard b'', soft b'', folder FileNotFoundError"
echo "$got"; [ "$got" = "$want" ]
