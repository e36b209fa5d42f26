#!/usr/bin/env bash
# Tool: uv 0.11.20 (PyPI, 2026) with its default links, strip of binutils (installed), and
#   markupsafe 3.0.3 (PyPI) as the package.
# Expected: stripping the libraries of one environment changes that environment. strip
#   writes a new file, and an installer compares a cached file with the hash in RECORD.
# Seen: uv makes hard links to its cache. strip writes into the file that it is given if
#   that has more than one name, so the cache changes too. The next environment gets the
#   stripped file, which does not match its RECORD, and uv finds nothing wrong. Output:
#     first environment: matches RECORD
#     first environment after strip: differs
#     second environment: differs
#     Checked 1 package: All installed packages are compatible
#     second environment after --refresh --reinstall: matches RECORD
# Matters: "uv pip install" and "strip" are two usual lines of a build. They also change
#   all later builds and the developer's environments on the same machine.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q uv==0.11.20
export UV_CACHE_DIR=$PWD/cache
install() {
  [ -d "$1" ] || v/bin/uv venv -q "$1"
  v/bin/uv pip install -q "${@:2}" --python "$1/bin/python" markupsafe==3.0.3
}
cat >a.py <<'PY'
import base64, csv, glob, hashlib, sys

(library,) = glob.glob(f"{sys.argv[1]}/lib/python*/site-packages/markupsafe/_speedups*.so")
(record,) = glob.glob(f"{sys.argv[1]}/lib/python*/site-packages/markupsafe*.dist-info/RECORD")
digest = hashlib.sha256(open(library, "rb").read()).digest()
digest = "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
(entry,) = (row for row in csv.reader(open(record)) if library.endswith("/" + row[0]))
print("matches RECORD" if digest == entry[1] else "differs")
PY
got=$(
  install first
  echo "first environment: $(python3 a.py first)"
  strip first/lib/python*/site-packages/markupsafe/_speedups*.so
  echo "first environment after strip: $(python3 a.py first)"
  install second
  echo "second environment: $(python3 a.py second)"
  v/bin/uv pip check --python second/bin/python 2>&1 | sed -n 's/ in .*/:/; /^Checked/{N; s/\n/ /; s/ in [^ ]*//; p}' | sed 's/package All/package: All/'
  install second --refresh --reinstall
  echo "second environment after --refresh --reinstall: $(python3 a.py second)"
)
want='first environment: matches RECORD
first environment after strip: differs
second environment: differs
Checked 1 package: All installed packages are compatible
second environment after --refresh --reinstall: matches RECORD'
echo "$got"; [ "$got" = "$want" ]
