#!/usr/bin/env bash
# Tool: `deno task` of deno 2.9.6 and `bun exec` of bun 1.4.5 (npm, 2026), which bring their own shells; bash
#   for comparison.
# Expected: ${TAG} is the value of TAG, as $TAG is, or an error if braces are not supported. The text of
#   "$(command)" keeps its lines, as it is in quotes.
# Seen: in both, ${TAG} and ${TAG:-latest} reach the program as they are written, without a message. deno also
#   joins the lines of "$(command)" with single blanks, and expands "~" in quotes. Output:
#     bash: <v1.10> <v1.10> <latest> <a\n  b> <~>
#     deno: <v1.10> <v${TAG}> <${NONE:-latest}> <a b> <HOME>
#     bun: <v1.10> <v${TAG}> <${NONE:-latest}> <a\n  b> <~>
# Matters: `deno task` also runs the scripts of package.json, which are written for sh. A build pushes the tag
#   "v${TAG}", or makes a folder of that name, and a file that is written from a command has one line.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6 bun@1.4.5 >npm.log
cat >show.py <<'PY'
import os
import sys

print(*(f"<{word}>".replace("\n", "\\n").replace(os.environ["HOME"], "HOME") for word in sys.argv[1:]))
PY
printf 'a\n  b\n' >lines.txt
cat >script <<'SH'
python3 show.py "v$TAG" "v${TAG}" ${NONE:-latest} "$(cat lines.txt)" "~"
SH
python3 - <<'PY'
import json

with open("package.json", "w") as file:
    json.dump({"name": "sample", "scripts": {"show": open("script").read().strip()}}, file)
PY
export TAG=1.10
got="bash: $(bash script)
deno: $(node_modules/.bin/deno task --quiet show)
bun: $(node_modules/.bin/bun exec "$(cat script)")"
want='bash: <v1.10> <v1.10> <latest> <a\n  b> <~>
deno: <v1.10> <v${TAG}> <${NONE:-latest}> <a b> <HOME>
bun: <v1.10> <v${TAG}> <${NONE:-latest}> <a\n  b> <~>'
echo "$got"; [ "$got" = "$want" ]
