#!/usr/bin/env bash
# Tool: ruff 0.17.6 (PyPI, 2026), `ruff check` and `ruff format --check` with the cache, which is on by
#   default; black 26.10.1 (PyPI) for comparison.
# Expected: a file that changed is read again. Its size differs, and its date of change (ctime), too.
# Seen: the cache knows a file by its path, mode and date of modification. A file of equal date with other
#   content and size has the result of the old one: none, as only files without findings are in the cache.
#   After a chmod the file is read. Output:
#     ruff check: 0 findings, without the cache 1, after chmod 1
#     ruff format: 1 file already formatted, without the cache 1 file would be reformatted
#     black: 1 file would be reformatted.
# Matters: files have one date where a build makes dates reproducible: a context with clamped dates, a Nix
#   store, an archive made with --mtime. With a cache mount in the Dockerfile, the check of such a tree passes
#   whatever was changed.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check ruff==0.17.6 black==26.10.1
export BLACK_CACHE_DIR=$dir/black
write() { printf '%s' "$1" >a.py; touch --date '2026-01-01 00:00 UTC' a.py; }
findings() { env/bin/ruff check --quiet --isolated --select F --output-format concise "$@" a.py | wc -l; }
layout() { { env/bin/ruff format --check --isolated "$@" a.py || true; } | tail -n 1; }
black() { { env/bin/black --check a.py || true; } 2>&1 | tail -n 1; }
write $'number = 1\n'
{ findings; layout; black; } >first.log
write $'print(  undefined_name  )\n'
got="ruff check: $(findings) findings, without the cache $(findings --no-cache), after chmod $(chmod 755 a.py; findings)
$(chmod 644 a.py; echo "ruff format: $(layout), without the cache $(layout --no-cache)")
black: $(black)"
want='ruff check: 0 findings, without the cache 1, after chmod 1
ruff format: 1 file already formatted, without the cache 1 file would be reformatted
black: 1 file would be reformatted.'
echo "$got"; [ "$got" = "$want" ]
