#!/usr/bin/env bash
# Tool: ostree 2022.7 (ostree and libostree-1-1 2022.7-2+deb12u1, Debian 12), which keeps images of systems as commits; CPython
#   3.11 (installed). Runs as root, for a repository of the mode "bare".
# Expected: a commit has no dates of files, so a checkout gives all files one date, 1970-01-01, and two checkouts of one
#   commit are equal. Who sets this date before, as for other reproducible builds, gets back the tree as it was.
# Seen: a file with content is dated 1970, as a link into the repository. An empty file is made anew in each checkout and has the
#   date of the moment. The compiled form of a Python module notes the date of its source. Output:
#     two checkouts, module.py: date 0 and date 0, its compiled file is valid
#     two checkouts, __init__.py: date of the checkout and date of the checkout, its compiled file is not valid
# Matters: most __init__.py files are empty, and on a read-only tree their compiled files stay stale. An archive or a
#   comparison of two checkouts shows a difference, so the layers of two equal builds have two digests.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q ostree=2022.7-2+deb12u1 libostree-1-1=2022.7-2+deb12u1 libarchive13=3.6.2-1+deb12u5 \
    libavahi-glib1 libavahi-client3 libavahi-common3 libcurl3-gnutls libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 libfuse2 \
    >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
libraries=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu
ostree() { LD_LIBRARY_PATH=$libraries deb/usr/bin/ostree "$@"; }
mkdir -p tree/package
: >tree/package/__init__.py
echo 'value = 1' >tree/package/module.py
touch -d @0 tree/package/*.py
python3 -m compileall -q tree
ostree init --repo=repository --mode=bare
ostree commit --repo=repository --branch=system tree >log
for checkout in one two; do
    sleep 1.1
    ostree checkout --repo=repository system "$checkout"
done
python3 - >got <<'PY'
import os
import struct

for name in "module", "__init__":
    dates = []
    for checkout in "one", "two":
        path = f"{checkout}/package/{name}.py"
        date = int(os.stat(path).st_mtime)
        dates.append("date 0" if date == 0 else "date of the checkout" if date == int(os.stat(path).st_ctime) else str(date))
    compiled = open(f"two/package/__pycache__/{name}.cpython-311.pyc", "rb").read(16)
    noted = struct.unpack("<I", compiled[8:12])[0]
    valid = "valid" if noted == date else "not valid"
    print(f"two checkouts, {name}.py: {dates[0]} and {dates[1]}, its compiled file is {valid}")
PY
want='two checkouts, module.py: date 0 and date 0, its compiled file is valid
two checkouts, __init__.py: date of the checkout and date of the checkout, its compiled file is not valid'
cat got; [ "$(cat got)" = "$want" ]
