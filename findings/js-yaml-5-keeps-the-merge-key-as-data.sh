#!/usr/bin/env bash
# Tool: js-yaml 5.5.0 and 4.1.0 (npm).
# Expected: load() applies `<<: *base`, as in versions 1 to 4; a document with
#   the directive `%YAML 1.1` has the 1.1 types.
# Seen: version 5 has the YAML 1.2 core schema by default. `<<` becomes an
#   ordinary key that holds the base mapping, `1_000` and dates become strings,
#   an empty document is an error. The %YAML directive changes nothing; only
#   schema: YAML11_SCHEMA does.
# Matters: compose files and CI files that share settings with `<<` load without
#   an error and lose the settings.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts argparse@2.0.1 js-yaml@5.5.0 old@npm:js-yaml@4.1.0
got=$(node - <<'JS'
const now = require('js-yaml'), old = require('old');
const text = 'base: &base {image: a}\nweb:\n  <<: *base\n  size: 1_000\n';
const web = (name, value) => console.log(name, JSON.stringify(value.web));
web('4.1.0', old.load(text));
web('5.5.0', now.load(text));
web('5.5.0 %YAML 1.1', now.load('%YAML 1.1\n---\n' + text));
web('5.5.0 YAML11_SCHEMA', now.load(text, { schema: now.YAML11_SCHEMA }));
console.log('4.1.0 empty', old.load('# only a comment\n'));
try { console.log('5.5.0 empty', now.load('# only a comment\n')); } catch (e) { console.log('5.5.0 empty', e.name); }
JS
)
want='4.1.0 {"image":"a","size":1000}
5.5.0 {"<<":{"image":"a"},"size":"1_000"}
5.5.0 %YAML 1.1 {"<<":{"image":"a"},"size":"1_000"}
5.5.0 YAML11_SCHEMA {"image":"a","size":1000}
4.1.0 empty null
5.5.0 empty YAMLException'
echo "$got"; [ "$got" = "$want" ]
