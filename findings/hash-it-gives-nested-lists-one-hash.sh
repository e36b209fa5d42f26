#!/usr/bin/env bash
# Tool: hash-it 7.0.2, hash-sum 2.0.0 and hashery 2.0.0 (npm, 2026); object-hash 3.0.0 (npm) for comparison.
# Expected: plain lists, maps and sets of different content have different hashes, and the order of keys does not
#   count; a library for cache keys that cannot hash a kind of value says so.
# Seen: hash-it does not see where an inner list ends. hash-sum and hashery give each Map the hash of an empty one,
#   and each Set likewise, without an error. For hashery, the order of keys counts. Output:
#     hash-it: lists
#     hash-sum: Map, Set
#     hashery: Map, Set, order of keys
#     object-hash: -
#   "lists" means [["-O2"], "-g"] and [["-O2", "-g"]].
# Matters: a step with other arguments or other environment variables is a hit, and its old output is used.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund hash-it@7.0.2 hash-sum@2.0.0 hashery@2.0.0 object-hash@3.0.0 >npm.log
cat >keys.mjs <<'JS'
import { hash as hashIt } from "hash-it";
import hashSum from "hash-sum";
import { Hashery } from "hashery";
import objectHash from "object-hash";

const hashery = new Hashery();
const libraries = {
  "hash-it": hashIt,
  "hash-sum": hashSum,
  hashery: (value) => hashery.toHashSync(value),
  "object-hash": objectHash,
};
for (const [name, key] of Object.entries(libraries)) {
  const equal = (a, b) => key(a) === key(b);
  const wrong = [];
  if (equal([["-O2"], "-g"], [["-O2", "-g"]])) wrong.push("lists");
  if (equal(new Map([["CC", "gcc"]]), new Map([["CC", "clang"]]))) wrong.push("Map");
  if (equal(new Set(["gcc"]), new Set(["clang"]))) wrong.push("Set");
  if (!equal({ a: 1, b: 2 }, { b: 2, a: 1 })) wrong.push("order of keys");
  console.log(`${name}: ${wrong.join(", ") || "-"}`);
}
JS
got=$(node keys.mjs)
want='hash-it: lists
hash-sum: Map, Set
hashery: Map, Set, order of keys
object-hash: -'
echo "$got"; [ "$got" = "$want" ]
