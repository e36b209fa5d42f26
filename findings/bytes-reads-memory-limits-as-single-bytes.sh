#!/usr/bin/env bash
# Tool: bytes 3.1.2 (npm, the size parser of body-parser).
# Expected: Docker's "512m" and "1.5g" and the unit KiB are read, or parse() gives
#   null, as it does for "x".
# Seen: with a unit that it does not know, parse() gives the leading integer as
#   bytes: "1.5g" is 1, "512m" is 512, "1GiB" is 1. Only kb, mb, gb, tb and pb
#   are units, and they count in powers of 1024.
# Matters: a memory limit from a compose file becomes a few bytes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts bytes@3.1.2
got=$(node -e "for (const text of ['1.5gb', '1.5g', '512m', '1GiB', '64k', 'x']) console.log(text, require('bytes').parse(text))")
want='1.5gb 1610612736
1.5g 1
512m 512
1GiB 1
64k 64
x null'
echo "$got"; [ "$got" = "$want" ]
