#!/usr/bin/env bash
# Tool: prettier-plugin-sh 0.20.0 with @reteps/dockerfmt 0.5.4 and prettier 3.6.2
#   (npm), formatting a Dockerfile.
# Expected: a formatter changes blanks, not meaning.
# Seen: COPY ["a b", "c"] becomes COPY a b c (one file with a space becomes two
#   files). ENV TEXT two words becomes ENV TEXT=two words, which Docker refuses.
#   The body of `cat <<EOF` loses the indentation of its lines, so a YAML or
#   Python file that the step writes is another one.
# Matters: "format on save" changes the image.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts prettier@3.6.2 prettier-plugin-sh@0.20.0 @reteps/dockerfmt@0.5.4 sh-syntax@0.7.0
cat >Dockerfile <<'TXT'
FROM a
COPY ["a b", "c"]
ENV TEXT two words
RUN cat <<EOF >config.yml
list:
  - one
EOF
USER 5
TXT
cat >a.mjs <<'JS'
import prettier from 'prettier';
import * as plugin from 'prettier-plugin-sh';
import { readFileSync } from 'fs';
process.stdout.write(await prettier.format(readFileSync('Dockerfile', 'utf8'), { filepath: 'Dockerfile', plugins: [plugin] }));
process.exit();
JS
got=$(node a.mjs)
want='FROM a
COPY a b c
ENV TEXT=two words
RUN cat <<EOF >config.yml
list:
- one
EOF
USER 5'
echo "$got"; [ "$got" = "$want" ]
