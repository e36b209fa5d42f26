#!/usr/bin/env bash
# Tool: shell-quote 1.12.0 (npm).
# Expected: parse() ends a comment at the end of its line and treats a newline as
#   a separator, like a shell.
# Seen: a comment runs to the end of the text: "make # fast\nmake install" is the
#   word make and one comment. Without a comment the two lines become one word
#   list: make, make, install.
# Matters: a multi-line RUN step is read as its first line only, or as one
#   command with too many arguments.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts shell-quote@1.12.0
got=$(node - <<'JS'
const { parse } = require('shell-quote');
for (const text of ['make # fast\nmake install', 'make\nmake install', 'make; make install'])
  console.log(JSON.stringify(parse(text)));
JS
)
want='["make",{"comment":" fast\nmake install"}]
["make","make","install"]
["make",{"op":";"},"make","install"]'
echo "$got"; [ "$got" = "$want" ]
