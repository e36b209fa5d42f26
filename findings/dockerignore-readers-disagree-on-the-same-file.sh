#!/usr/bin/env bash
# Tool: docker 7.2.0 (PyPI, the SDK that packs a build context) and
#   @balena/dockerignore 1.0.2 (npm).
# Expected: both follow Docker's rules, so both send the same files.
# Seen, on one tree:
#   `[^a]*` keeps only names that do not start with a in Python (the caret is
#     literal there, `[!a]` negates); npm follows Go, where the caret negates.
#   `*` and `!**/*.md` keeps README.md in both, but src/notes.md only in npm:
#     Python does not enter a directory that an exclusion does not name.
#   `\#c` excludes the file #c in npm only.
# Matters: the context's digest depends on the client that packs it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps docker==7.2.0 requests==2.34.2 urllib3==2.8.0 idna==3.20 certifi==2026.10.19.post1 charset-normalizer==3.5.3
npm init -y >/dev/null
npm install --silent --ignore-scripts @balena/dockerignore@1.0.2
mkdir -p tree/src; touch tree/src/notes.md tree/src/main.c tree/README.md tree/all.txt tree/#c
cat >python.py <<'PY'
import os, sys
from docker.utils.build import exclude_paths
kept = exclude_paths("tree", sys.argv[1].split("\n"), dockerfile="Dockerfile")
print("py ", sorted(p for p in kept if os.path.isfile(os.path.join("tree", p))))
PY
cat >npm.js <<'JS'
const fs = require('fs'), filter = require('@balena/dockerignore')().add(process.argv[2]);
const files = fs.readdirSync('tree', { recursive: true }).filter(p => fs.statSync('tree/' + p).isFile());
console.log('npm', "['" + files.filter(p => !filter.ignores(p)).sort().join("', '") + "']");
JS
got=$(for rules in '[^a]*' $'*\n!**/*.md' '\#c'; do
  printf '%q\n' "$rules"; v/bin/python python.py "$rules"; node npm.js "$rules"
done)
want=$(cat <<'TXT'
\[\^a\]\*
py  ['#c', 'README.md', 'src/main.c', 'src/notes.md']
npm ['all.txt']
$'*\n!**/*.md'
py  ['README.md']
npm ['README.md', 'src/notes.md']
\\#c
py  ['#c', 'README.md', 'all.txt', 'src/main.c', 'src/notes.md']
npm ['README.md', 'all.txt', 'src/main.c', 'src/notes.md']
TXT
)
echo "$got"; [ "$got" = "$want" ]
