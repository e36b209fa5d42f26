#!/usr/bin/env bash
# Tool: python-hcl2 8.1.4 (PyPI); hcl2-parser 1.0.3 (npm) for comparison.
# Expected: loads() of a bake file gives the values: the text latest, the number
#   1000 for 1e3, the lines of a here-document, the key app for a block label.
# Seen: by default, strings and block labels keep their quotes ('"latest"'), a
#   here-document is its source with both markers, inside quotes, and 1e3 is the
#   text "${1e3}". npm's parser gives the values.
# Matters: code written for older versions looks up target["app"] and finds
#   nothing; tags get quote characters.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps python-hcl2==8.1.4 lark==1.3.1 regex==2026.11.19
npm init -y >/dev/null
npm install --silent --ignore-scripts hcl2-parser@1.0.3
cat >bake.hcl <<'HCL'
target "app" {
  tag = "latest"
  size = 1e3
  text = <<-END
    one
      two
    END
}
HCL
got=$(
  v/bin/python - <<'PY'
import hcl2, json
(label, body), = hcl2.loads(open("bake.hcl").read())["target"][0].items()
print("python", json.dumps([label, body["tag"], body["size"], body["text"]]))
PY
  node -e '
const target = require("hcl2-parser").parseToObject(require("fs").readFileSync("bake.hcl", "utf8"))[0].target;
const label = Object.keys(target)[0], body = target[label][0];
console.log("npm   ", JSON.stringify([label, body.tag, body.size, body.text]));'
)
want=$(cat <<'TXT'
python ["\"app\"", "\"latest\"", "${1e3}", "\"<<-END\n    one\n      two\n    END\""]
npm    ["app","latest",1000,"one\n  two\n"]
TXT
)
echo "$got"; [ "$got" = "$want" ]
