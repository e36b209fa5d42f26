#!/usr/bin/env bash
# Tool: dockerfile-generator 5.0.3 (npm), convertToJSON().
# Expected: a Dockerfile read into JSON keeps its commands and can be generated
#   again.
# Seen: the blanks of a RUN are removed ("echo one" becomes "echoone"), a
#   continued line becomes a comment, ENV A=1 B=2 becomes A="1 B", and
#   COPY --from=b /x /y becomes a copy of "--from=b" to "/x". generate() refuses
#   the JSON with "Input Validation error". None of the reading steps fails.
# Matters: an editor that goes through the JSON destroys the file.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts dockerfile-generator@5.0.3
got=$(node - <<'JS'
const { convertToJSON, generate } = require('dockerfile-generator'), { Readable } = require('stream');
(async () => {
  const json = await convertToJSON(Readable.from(['FROM a\nENV A=1 B=2\nRUN echo one && \\\n  echo two\nCOPY --from=b /x /y\n']));
  for (const [name, value] of Object.entries(json)) console.log(name.replace(/\d+/, 'N'), JSON.stringify(value));
  await generate(JSON.stringify(json)).then(() => console.log('generated'), error => console.log(error.message));
})();
JS
)
want='from {"baseImage":"a"}
env {"A":"1 B"}
run ["echoone&&\\"]
comment_N " echo two"
copy {"--from=b":"/x"}
Input Validation error'
echo "$got"; [ "$got" = "$want" ]
