#!/usr/bin/env bash
# Tool: flametrace 1.1.1 (PyPI) with strace 6.1-0.1 and dash 0.5.12-2 (Debian 12).
# Expected: the flame graph of a process tree has one root, the command, and the
#   widths add up to its wall time.
# Seen: only clone and clone3 make a child. dash starts simple commands with
#   vfork, so `sleep` is a second root next to the shell, and the shell keeps the
#   time in which it waited as its own. 0.6 s of sleep give about 1.2 s of width. A
#   subshell is started with clone and is placed correctly.
# Matters: dash is /bin/sh on Debian. The graph shows the shell as the
#   slowest program of a build.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps flametrace==1.1.1 click==8.5.1 packaging==26.4
apt-get download -q strace=6.1-0.1 libunwind8=1.6.2-3 dash=0.5.12-2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export PATH=$dir/deb/usr/bin:$PATH
LD_LIBRARY_PATH=$dir/deb/usr/lib/x86_64-linux-gnu v/bin/flametrace --output-base out deb/bin/dash -c 'sleep 0.4; (sleep 0.2; :)' >log 2>&1
grep -q 'vfork(' out.strace
python3 - <<'PY'
roots, total = set(), 0
for line in open("out.folded"):
    stack, width = line.rsplit(" ", 1)
    roots.add(stack.split(";")[0].split("(")[0].rsplit("/", 1)[-1])
    total += int(width)
print("roots", sorted(roots), f"total {total / 1e6:.1f} s for 0.6 s")
assert roots == {"dash", "sleep"}, roots
assert total > 0.95e6, total
PY
