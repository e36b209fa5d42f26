#!/usr/bin/env bash
# Tool: logfmt 1.4.0 (npm).
# Expected: a line written by Go's logfmt writers, such as the logs of Docker and
#   buildah, gives its values back.
# Seen: in a quoted value the backslash is removed and the letter stays:
#   "a\nb" is "anb". A second equals sign disappears: a=b=c is "bc". The quoted
#   text "true" becomes the boolean true, and `k=` is null.
# Matters: a build's error output is one msg="..." with \n in it. Its lines run
#   together, and a command like CGO_ENABLED=0 loses its sign.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts logfmt@1.4.0
got=$(node - <<'JS'
const { parse } = require('logfmt');
for (const line of ['msg="a\\nb"', 'msg="a\\"b"', 'arg=GOOS=linux', 'ok="true"', 'rest=']) console.log(line, JSON.stringify(parse(line)));
JS
)
want='msg="a\nb" {"msg":"anb"}
msg="a\"b" {"msg":"a\"b"}
arg=GOOS=linux {"arg":"GOOSlinux"}
ok="true" {"ok":true}
rest= {"rest":null}'
echo "$got"; [ "$got" = "$want" ]
