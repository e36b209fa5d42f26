#!/usr/bin/env bash
# Tool: podman 5.8.0 (PyPI, the client library of the podman project), the
#   archive of a build context; @balena/dockerignore 1.0.2 (npm) for comparison.
# Expected: .dockerignore selects the same files as in docker and podman build.
# Seen: patterns are shell patterns over the whole path. A trailing slash
#   (`node_modules/`) or a leading one (`/.env`) excludes nothing. `*.md` also
#   excludes docs/guide.md. After `*`, `!src` brings nothing back, so the context
#   is empty.
# Matters: files that a user excluded, such as .env, are sent to the service and
#   copied by `COPY . .`.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q podman==5.8.0
npm init -y >/dev/null
npm install --silent --ignore-scripts @balena/dockerignore@1.0.2
mkdir -p c/docs c/node_modules c/src
touch c/.env c/README.md c/docs/guide.md c/node_modules/a.js c/src/main.c
cat >a.py <<'PY'
import os, tarfile
from podman.api import tar_utils
for patterns in ["node_modules/", "/.env", "*.md", "*\n!src"]:
    with open("c/.dockerignore", "w") as file:
        file.write(patterns + "\n")
    archive = tar_utils.create_tar("c", exclude=tar_utils.prepare_containerignore("c"))
    files = {entry.name for entry in tarfile.open(fileobj=archive) if entry.isfile()}
    print(patterns.replace("\n", " "), "podman", *sorted(files - {".dockerignore"}))
PY
cat >a.js <<'JS'
const ignore = require('@balena/dockerignore');
const files = ['.env', 'README.md', 'docs/guide.md', 'node_modules/a.js', 'src/main.c'];
for (const patterns of ['node_modules/', '/.env', '*.md', '*\n!src'])
  console.log(patterns.replace('\n', ' '), 'docker', ...ignore().add(patterns).filter(files));
JS
got=$(v/bin/python a.py; node a.js)
want='node_modules/ podman .env README.md docs/guide.md node_modules/a.js src/main.c
/.env podman .env README.md docs/guide.md node_modules/a.js src/main.c
*.md podman .env node_modules/a.js src/main.c
* !src podman
node_modules/ docker .env README.md docs/guide.md src/main.c
/.env docker README.md docs/guide.md node_modules/a.js src/main.c
*.md docker .env docs/guide.md node_modules/a.js src/main.c
* !src docker src/main.c'
echo "$got"; [ "$got" = "$want" ]
