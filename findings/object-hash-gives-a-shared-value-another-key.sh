#!/usr/bin/env bash
# Tool: object-hash 3.0.0, hash-it 7.0.2 and hash-sum 2.0.0 (npm), which make cache keys of values; ohash 2.0.12 (npm)
#   for comparison.
# Expected: two values that print as the same JSON have one hash, as a cache key of a configuration must.
# Seen: a value that appears twice as one object has another hash than two equal objects. The second time, these
#   libraries hash a mark for a circular reference, although nothing is circular. Output:
#     object-hash: shared differs from copies
#     hash-it: shared differs from copies
#     hash-sum: shared differs from copies
#     ohash: same
# Matters: a program that builds its configuration and one that reads the same configuration from a file have
#   different keys, so the cache misses. A refactoring that puts an object into a constant empties the cache.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund object-hash@3.0.0 hash-it@7.0.2 hash-sum@2.0.0 ohash@2.0.12 >npm.log
cat >keys.mjs <<'JS'
import objectHash from "object-hash";
import { hash as hashIt } from "hash-it";
import hashSum from "hash-sum";
import { hash as ohash } from "ohash";

const environment = { LANG: "C" };
const built = { compile: environment, link: environment };
const read = JSON.parse(JSON.stringify(built));
for (const [name, key] of Object.entries({ "object-hash": objectHash, "hash-it": hashIt, "hash-sum": hashSum, ohash })) {
  console.log(`${name}: ${key(built) === key(read) ? "same" : "shared differs from copies"}`);
}
JS
got=$(node keys.mjs)
want='object-hash: shared differs from copies
hash-it: shared differs from copies
hash-sum: shared differs from copies
ohash: same'
echo "$got"; [ "$got" = "$want" ]
