#!/usr/bin/env bash
# Tool: pip 26.3 (PyPI); uv 0.13.8 (PyPI) for comparison.
# Expected: with SOURCE_DATE_EPOCH, compiled Python files have the hash of the source in place of its date, and two
#   installations of pinned wheels into an empty folder of the same name have the same bytes.
# Seen: `pip install --target` installs into a temporary folder of a random name, compiles there, and moves the result. Each
#   .pyc file has that name. Without --target, and with uv, the files are the same. Output, files that differ between two
#   installations of one package:
#     pip: 0
#     pip --target: 25 differ, 25 are compiled, 25 have the name
#     uv --target: 0
# Matters: the folder is what a later stage or a function in the cloud gets. Its layer has a new digest after each build
#   without a cache: it is pushed and pulled again, and a rebuild for a comparison never matches.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
unset TMPDIR
export SOURCE_DATE_EPOCH=1700000000
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pip==26.3 uv==0.13.8
package='jinja2==3.1.6 --no-deps'
by_pip() {
  python3 -m venv --without-pip app
  venv/bin/pip --python app/bin/python install --quiet --disable-pip-version-check $package
}
by_pip_target() { venv/bin/pip install --quiet --disable-pip-version-check --target app $package; }
by_uv_target() { venv/bin/uv pip install --quiet --link-mode copy --compile-bytecode --target app $package; }
twice() {
  rm -rf app first
  "$1"
  mv app first
  "$1"
  diff --recursive --brief first app >differ || true
  wc --lines <differ
}
with_name() { find app -name '*.pyc' -exec grep --files-with-matches --text '/tmp/pip-target-' {} + | wc --lines; }
got="pip: $(twice by_pip)
pip --target: $(twice by_pip_target) differ, $(find app -name '*.pyc' | wc --lines) are compiled, $(with_name) have the name
uv --target: $(twice by_uv_target)"
want='pip: 0
pip --target: 25 differ, 25 are compiled, 25 have the name
uv --target: 0'
echo "$got"; [ "$got" = "$want" ]
