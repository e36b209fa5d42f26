#!/usr/bin/env bash
# Tool: docker-file-parser 1.0.7 and dockerfile-ast 0.7.1 (npm).
# Expected: parser directives may come in any order before the first comment, so
#   `# escape=` works after `# syntax=`; names are case-insensitive.
# Seen: docker-file-parser knows the escape directive on the first line only.
#   After `# syntax=` it splits a continued RUN and returns the second half as an
#   instruction of its own, without an error. dockerfile-ast reads both orders.
# Matters: Windows Dockerfiles carry both lines, syntax first.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts docker-file-parser@1.0.7 dockerfile-ast@0.7.1
got=$(node - <<'JS'
const old = require('docker-file-parser'), { DockerfileParser } = require('dockerfile-ast');
const body = 'FROM a\nRUN copy `\n  x y\n';
for (const head of ['# escape=`\n', '# escape=`\n# syntax=docker/dockerfile:1\n', '# syntax=docker/dockerfile:1\n# escape=`\n', '# Escape = `\n']) {
  const names = old.parse(head + body).map(c => c.name).join(' ');
  const ast = DockerfileParser.parse(head + body).getInstructions().map(i => i.getKeyword()).join(' ');
  console.log(JSON.stringify(head), '|', names, '|', ast);
}
JS
)
want='"# escape=`\n" | FROM RUN | FROM RUN
"# escape=`\n# syntax=docker/dockerfile:1\n" | FROM RUN | FROM RUN
"# syntax=docker/dockerfile:1\n# escape=`\n" | FROM RUN X | FROM RUN
"# Escape = `\n" | FROM RUN X | FROM RUN'
echo "$got"; [ "$got" = "$want" ]
