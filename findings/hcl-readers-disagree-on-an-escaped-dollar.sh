#!/usr/bin/env bash
# Tool: hcl2-parser 1.0.3 and @cdktf/hcl2json 0.21.0 (npm), both built from Go's
#   hcl2json.
# Expected: `$${HOME}` in HCL is the literal text ${HOME} and `${TAG}` is a
#   reference; a JSON form keeps them apart.
# Seen: hcl2-parser writes ${HOME} and ${TAG} for the two, so the literal has
#   become a reference. @cdktf/hcl2json keeps `$${HOME}`. The latter rounds
#   9007199254740993 to ...992 and the former's text form keeps it.
# Matters: a bake file passes `$${VAR}` to a shell in the image. After a round
#   trip through JSON it is expanded at build time.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts hcl2-parser@1.0.3 @cdktf/hcl2json@0.21.0
cat >a.hcl <<'HCL'
literal = "$${HOME}"
reference = "${TAG}"
percent = "%%{if}"
number = 9007199254740993
HCL
got=$(node - <<'JS'
const text = require('fs').readFileSync('a.hcl', 'utf8');
console.log('hcl2-parser', JSON.stringify(require('hcl2-parser').parseToString(text)[0]));
require('@cdktf/hcl2json').parse('a.hcl', text).then(v => console.log('hcl2json', JSON.stringify(v)));
JS
)
want=$(cat <<'TXT'
hcl2-parser "{\"literal\":\"${HOME}\",\"number\":9007199254740993,\"percent\":\"%{if}\",\"reference\":\"${TAG}\"}"
hcl2json {"literal":"$${HOME}","number":9007199254740992,"percent":"%%{if}","reference":"${TAG}"}
TXT
)
echo "$got"; [ "$got" = "$want" ]
