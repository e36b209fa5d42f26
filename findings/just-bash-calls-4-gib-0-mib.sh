#!/usr/bin/env bash
# Tool: just-bash 3.4.2 (npm, 2026), a bash in TypeScript for agents and sandboxes.
# Expected: arithmetic has 64 bits, as in bash, or an error; `date +%s%N` measures a step.
# Seen: values are JavaScript numbers that end at 2^53, shifts and bit operations have 32
#   bits, and %N is always nine zeros, so each step shorter than a second takes 0. A function
#   that fails left of || ends the script under `set -e`. There is no message. Output:
#     $((4 * 1024 * 1024 * 1024 >> 20)): bash 4096, just-bash 0
#     $((1 << 40)): bash 1099511627776, just-bash 256
#     $((4294967296 | 1)): bash 4294967297, just-bash 1
#     $((1780000000123456789 + 1)): bash 1780000000123456790, just-bash 9007199254740992
#     date +%N: bash not only zeros, just-bash zeros
#     set -e; f() { false; echo on; }; f || echo failed: bash on, just-bash
# Matters: a script that is tried there before it becomes a RUN step sees other sizes and
#   times than the real build, or stops where the real one goes on.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts just-bash@3.4.2
cat >a.mjs <<'JS'
import { execFileSync } from "node:child_process";
import { Bash } from "just-bash";

const environment = new Bash();
const real = (script) => execFileSync("bash", ["-c", script], { encoding: "utf8" }).trim();
const simulated = async (script) => (await environment.exec(script)).stdout.trim();
const print = (name, one, other) => console.log(`${name}: bash ${one}, just-bash ${other}`.trim());
for (const term of ["4 * 1024 * 1024 * 1024 >> 20", "1 << 40", "4294967296 | 1", "1780000000123456789 + 1"]) {
  const script = `echo $((${term}))`;
  print(`$((${term}))`, real(script), await simulated(script));
}
const zeros = (text) => (/^(0{9} ?)+$/.test(text) ? "zeros" : "not only zeros");
const script = "echo $(date +%N; sleep 0.01; date +%N; sleep 0.01; date +%N)";
print("date +%N", zeros(real(script)), zeros(await simulated(script)));
const failing = "set -e; f() { false; echo on; }; f || echo failed";
print(failing, real(failing), await simulated(failing));
JS
got=$(node a.mjs)
want='$((4 * 1024 * 1024 * 1024 >> 20)): bash 4096, just-bash 0
$((1 << 40)): bash 1099511627776, just-bash 256
$((4294967296 | 1)): bash 4294967297, just-bash 1
$((1780000000123456789 + 1)): bash 1780000000123456790, just-bash 9007199254740992
date +%N: bash not only zeros, just-bash zeros
set -e; f() { false; echo on; }; f || echo failed: bash on, just-bash'
echo "$got"; [ "$got" = "$want" ]
