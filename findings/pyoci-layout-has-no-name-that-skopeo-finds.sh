#!/usr/bin/env bash
# Tool: pyoci 0.2.1 (PyPI, 2026), writing an OCI layout; skopeo 1.9.3+ds1-1+b10 (Debian
#   12), reading it. The base image is replaced by an empty one.
# Expected: the layout of "team/app:1" can be read as oci:DIR:team/app:1, and a cached
#   layer is used only if the files are the same.
# Seen: the name is an annotation of the index as a whole; readers look for it at the
#   entry of the image, where the specification has it. The cache key of the files is
#   their name, size and whole second: another content of the same size in the same
#   second, and an added executable bit, give the old layer. Output:
#     with the name: no descriptor found for reference "team/app:1"
#     without a name: 1 layer
#     content changed: layer unchanged
#     mode changed: layer unchanged
#     one second later: layer changed
# Matters: a script that copies by name fails, and a context from git or from an
#   archive with one time for all files is built with the old sources.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q skopeo=1.9.3+ds1-1+b10 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
python3 -m venv v
v/bin/pip install -q pyoci==0.2.1
cat >build.py <<'PY'
import json

from pyoci.builder import ImageBuilder
from pyoci.config import BuildConfig

ImageBuilder._pull_base_image = lambda self, *rest: ([], None)
builder = ImageBuilder(BuildConfig(context_dir="context", image_name="team/app:1", output_dir="out", cache_dir="cache", entrypoint=["python", "main.py"]))
builder.build()
print(builder.layers[0].digest)
PY
inspect() { LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu deb/usr/bin/skopeo inspect "$1" 2>&1; }
compare() { v/bin/python build.py >next; cmp -s first next && echo "$1: layer unchanged" || echo "$1: layer changed"; }
mkdir context
echo 'print(1)' >context/main.py; touch -d 2026-01-02T03:04:05Z context/main.py
v/bin/python build.py >first
{
  echo "with the name: $(inspect oci:out:team/app:1 | grep -o 'no descriptor found.*:1' | tr -d '\\')\""
  echo "without a name: $(inspect oci:out | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["Layers"]))') layer"
  echo 'print(2)' >context/main.py; touch -d 2026-01-02T03:04:05.9Z context/main.py; compare 'content changed'
  chmod 755 context/main.py; compare 'mode changed'
  touch -d 2026-01-02T03:04:06Z context/main.py; compare 'one second later'
} >got
want='with the name: no descriptor found for reference "team/app:1"
without a name: 1 layer
content changed: layer unchanged
mode changed: layer unchanged
one second later: layer changed'
cat got; [ "$(cat got)" = "$want" ]
