#!/usr/bin/env bash
# Tool: CMake 4.4.5 (PyPI, 2026), cmake_instrumentation() with OPTIONS trace; ninja
#   1.13.0 (PyPI).
# Expected: recording how long commands take does not change what they do, and the
#   duration of a custom command is that of the whole line.
# Seen: the launcher is put before the first word of each COMMAND. A `cd`, a `umask`
#   or an assignment there is looked up as a program, so the build fails (exit code 1,
#   no message of the command); without the measurement it works. Of a pipe only the
#   first program is timed. Output:
#     plain: env.txt
#     plain: private
#     plain: in
#     instrumented: env.txt
#     instrumented: env.txt is empty
#     cd sub: result 1
#     MODE=fast env: result 1
#     umask 077: result 1
#     sleep 0.1, piped to sleep 1: below 1 s
# Matters: `COMMAND cd dir && tool` is common. The build that shall be measured stops,
#   and in the trace of one that does not, steps with a pipe are too short.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q cmake==4.4.5 ninja==1.13.0
export PATH=$PWD/v/bin:$PATH
mkdir source; cat >source/CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 4.3)
project(steps NONE)
if(MEASURE)
  cmake_instrumentation(API_VERSION 1 DATA_VERSION 1 HOOKS postCMakeBuild OPTIONS trace)
endif()
add_custom_target(one ALL COMMAND mkdir -p sub COMMAND cd sub && touch in)
add_custom_target(two ALL COMMAND MODE=fast env "|" grep "MODE=fast" > env.txt)
add_custom_target(three ALL COMMAND umask 077 && touch private)
add_custom_target(four ALL COMMAND sleep 0.1 "|" sleep 1)
CMAKE
build() { # FOLDER MEASURE: what was built
  cmake -G Ninja -D MEASURE="$2" -S source -B "$1" >"$1.log" 2>&1
  cmake --build "$1" -- -k 0 >>"$1.log" 2>&1 || true
  for file in env.txt private sub/in; do [ ! -e "$1/$file" ] || echo "$1: $(basename "$file")"; done
  [ -s "$1/env.txt" ] || echo "$1: env.txt is empty"
}
{
  build plain 0; build instrumented 1
  python3 - <<'PY'
import glob, json
(trace,) = glob.glob("instrumented/.cmake/instrumentation/v1/data/trace/*.json")
steps = {e["args"]["command"]: e for e in json.load(open(trace)) if e["cat"] == "custom"}
for command in "cd sub", "MODE=fast env", "umask 077":
    print(f"{command}: result {steps[command]['args']['result']}")
print("sleep 0.1, piped to sleep 1:", "below" if steps["sleep 0.1"]["dur"] < 1_000_000 else "at least", "1 s")
PY
} >got
want='plain: env.txt
plain: private
plain: in
instrumented: env.txt
instrumented: env.txt is empty
cd sub: result 1
MODE=fast env: result 1
umask 077: result 1
sleep 0.1, piped to sleep 1: below 1 s'
cat got; [ "$(cat got)" = "$want" ]
