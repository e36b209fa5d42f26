#!/usr/bin/env bash
# Tool: hatchling 1.33.0 and pdm-backend 2.5.0 (PyPI, 2026), with build 1.6.1, pip and unzip; setuptools 84.2.1 for
#   comparison.
# Expected: a package has the same files, whether its wheel is made from the tree (`pip wheel .`, `pip
#   install .`) or from the source archive that is made first (`python -m build`, the default). What one
#   of them cannot hold is an error.
# Seen: links out of the package, as to data that several packages of a repository share, become copies or
#   are lost. hatchling follows a link to a folder from the tree and not into the archive. pdm-backend puts
#   a link to a file into the archive as a link, which points nowhere there; it does not follow one to a
#   folder at all. There is no message and the exit status is 0. Output, what each wheel has of the two:
#     hatchling: from the tree file and folder, from the archive file
#     pdm-backend: from the tree file, from the archive nothing
#     setuptools: from the tree file and folder, from the archive file and folder
# Matters: the tests of a project pass with what pip installs from its tree. The wheel that its release job
#   uploads lacks the data, and fails at its first use by others.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q build==1.6.1 hatchling==1.33.0 pdm-backend==2.5.0 setuptools==84.2.1
mkdir -p project/shared project/src/demo
cd project
echo text | tee shared/file >shared/data
echo >src/demo/__init__.py
ln -s ../../shared/file src/demo/file
ln -s ../../shared src/demo/folder
has() { # WHEEL: which of the two it has
    unzip -Z1 "$1" | sed -n 's|^demo/file$|file|p; s|^demo/folder/data$|folder|p' | sort | paste -sd' ' | sed 's/ / and /; s/^$/nothing/'
}
got=
for backend in hatchling:hatchling.build pdm-backend:pdm.backend setuptools:setuptools.build_meta; do
    rm -rf tree archive build src/*.egg-info
    cat >pyproject.toml <<TOML
[build-system]
requires = []
build-backend = "${backend#*:}"
[project]
name = "demo"
version = "1.0"
[tool.setuptools.packages.find]
where = ["src"]
[tool.setuptools.package-data]
demo = ["**/*"]
[tool.hatch.build.targets.wheel]
packages = ["src/demo"]
TOML
    ../v/bin/pip wheel -q --no-build-isolation --no-deps --wheel-dir tree . 2>tree.log
    ../v/bin/python -m build --no-isolation --outdir archive . >archive.log 2>&1
    got+="${backend%:*}: from the tree $(has tree/*.whl), from the archive $(has archive/*.whl)"$'\n'
done
want='hatchling: from the tree file and folder, from the archive file
pdm-backend: from the tree file, from the archive nothing
setuptools: from the tree file and folder, from the archive file and folder
'
echo -n "$got"; [ "$got" = "$want" ]
