#!/usr/bin/env bash
# Tool: bun 1.4.5 (npm, 2026), `bun pm pack`, which makes the archive that `bun publish` sends; npm (installed).
# Expected: the file that `main` names is in the archive, whatever `files` lists: npm's documentation says so,
#   and bun reads the same package.json.
# Seen: npm packs it, bun does not, without a message. With `bin` instead of `main`, both do. Output:
#     npm: dist/a.js lib/main.js package.json
#     bun: dist/a.js package.json
#     npm's archive: loaded
#     bun's archive: Error: Cannot find module
# Matters: a package that is published with npm and then with bun is broken in the next version, and installing
#   it gives no error; loading it does.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund bun@1.4.5 >npm.log
mkdir -p sample/dist sample/lib
cat >sample/package.json <<'JSON'
{"name": "sample", "version": "1.0.0", "main": "lib/main.js", "files": ["dist"]}
JSON
echo 'console.log("loaded");' >sample/lib/main.js
echo '// asset' >sample/dist/a.js
(cd sample; mkdir "$dir/npm"; npm pack --silent --pack-destination "$dir/npm" >"$dir/pack.log"
  "$dir/node_modules/.bin/bun" pm pack --destination "$dir/bun" >>"$dir/pack.log")
files() { tar --list --file "$1/sample-1.0.0.tgz" | sed 's/^package.//' | LC_ALL=C sort | paste -sd ' '; }
load() {
  mkdir -p "$1/app/node_modules/sample"
  tar --extract --strip-components 1 --directory "$1/app/node_modules/sample" --file "$1/sample-1.0.0.tgz"
  (cd "$1/app"; { node -e 'require("sample")' 2>&1 || true; } | grep -o 'loaded\|Error: Cannot find module' | head -n 1)
}
got="npm: $(files npm)
bun: $(files bun)
npm's archive: $(load npm)
bun's archive: $(load bun)"
want="npm: dist/a.js lib/main.js package.json
bun: dist/a.js package.json
npm's archive: loaded
bun's archive: Error: Cannot find module"
echo "$got"; [ "$got" = "$want" ]
