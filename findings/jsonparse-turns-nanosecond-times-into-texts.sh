#!/usr/bin/env bash
# Tool: jsonparse 1.3.1 and JSONStream 1.3.5, which is built on it (npm).
# Expected: a JSON number becomes a number (rounded, as JSON.parse does) or a
#   BigInt.
# Seen: a number that a double cannot hold exactly becomes a text, others stay
#   numbers. Of two times in nanoseconds one can be a number and the next a text.
#   end + 1 then appends the digit 1.
# Matters: typeof checks fail for some events of a log only, and sums of times
#   become long texts.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts jsonparse@1.3.1 JSONStream@1.3.5
cat >a.js <<'JS'
const Parser = require('jsonparse');
const line = '{"start":1764308000000000000,"end":1764308000123456789}';
const show = (name, { start, end }) => console.log(name, typeof start, typeof end, end + 1);
show('JSON.parse', JSON.parse(line));
const parser = new Parser();
parser.onValue = function (value) { if (this.stack.length === 0) show('jsonparse', value); };
parser.write(line);
const stream = require('JSONStream').parse();
stream.on('data', (value) => show('JSONStream', value));
stream.end(line);
JS
got=$(node a.js)
want='JSON.parse number number 1764308000123456800
jsonparse number string 17643080001234567891
JSONStream number string 17643080001234567891'
echo "$got"; [ "$got" = "$want" ]
