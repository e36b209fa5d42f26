#!/usr/bin/env bash
# Tool: setuptools 82.0.1, pdm-backend 2.5.0, hatchling 1.33.0 and poetry-core 2.5.0 (PyPI), with build 1.6.1 (PyPI).
# Expected: with SOURCE_DATE_EPOCH, a tree that is checked out and built again, later and under another umask, gives
#   the same bytes: git keeps only the execute bit of a mode, and an installer sets its own.
# Seen: setuptools puts the modes that the umask gives into the wheel, and times and owners into the source archive.
#   pdm-backend sets the dates of the files in its source archive and leaves the time of the build in the header of
#   gzip, so its wheel is reproducible and its source archive is another one each second. Output:
#     setuptools: wheel differs, source archive differs
#     pdm-backend: wheel same, source archive differs (the tar inside is the same)
#     hatchling: wheel same, source archive same
#     poetry-core: wheel same, source archive same
# Matters: the digest of a source archive goes into lock files and attestations. A rebuild that should prove a release
#   does not match, and a wheel that a COPY brings into an image rebuilds what follows.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check build==1.6.1 setuptools==82.0.1 pdm-backend==2.5.0 \
  hatchling==1.33.0 poetry-core==2.5.0
export SOURCE_DATE_EPOCH=1700000000
digest() { sha256sum "$@" | cut -c 1-64; }
try() {
  name=$1
  for umask in 022 077; do
    (
      umask "$umask"
      mkdir -p "$name/$umask/example"
      cd "$name/$umask"
      echo "x = 1" >example/__init__.py
      printf '%s\n' '[project]' 'name = "example"' 'version = "1"' '[build-system]' 'requires = []' \
        "build-backend = \"$2\"" >pyproject.toml
      "$dir/venv/bin/python" -m build --no-isolation --wheel --outdir out >wheel.log
      "$dir/venv/bin/python" -m build --no-isolation --sdist --outdir out >sdist.log
      gzip --decompress --stdout out/*.tar.gz >archive.tar
    )
    sleep 1.1
  done
  compare() { if [ "$(digest "$name"/022/$1)" = "$(digest "$name"/077/$1)" ]; then echo same; else echo differs; fi; }
  inside=
  if [ "$(compare 'out/*.tar.gz')" = differs ] && [ "$(compare archive.tar)" = same ]; then
    inside=' (the tar inside is the same)'
  fi
  echo "$name: wheel $(compare 'out/*.whl'), source archive $(compare 'out/*.tar.gz')$inside"
}
got=$(try setuptools setuptools.build_meta; try pdm-backend pdm.backend; try hatchling hatchling.build
  try poetry-core poetry.core.masonry.api)
want='setuptools: wheel differs, source archive differs
pdm-backend: wheel same, source archive differs (the tar inside is the same)
hatchling: wheel same, source archive same
poetry-core: wheel same, source archive same'
echo "$got"; [ "$got" = "$want" ]
