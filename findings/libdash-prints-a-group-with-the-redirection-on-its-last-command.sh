#!/usr/bin/env bash
# Tool: libdash 0.5.2 (PyPI), dash's parser with a printer for its syntax trees; dash.
# Expected: a script that is parsed and printed does what it did before. Only blanks
#   and quotes may differ.
# Seen: the braces of a group are not printed, so a redirection after them belongs to
#   the last command: `{ echo a; echo b; } >file` prints as `{ echo a ; } \n { echo b ; }
#   >file`. The same happens to a subshell, where the redirections move inside. In a
#   here-document with a quoted marker, `$HOME` becomes `\$HOME`, and what follows a
#   marker on its line (`cat <<EOF | tr a b`) is printed after the document, which is
#   a syntax error. Output, as what dash prints for the script and for its copy:
#     group: "file: a b" becomes "a file: b"
#     subshell: "file: a b" becomes "a file: b"
#     quoted marker: "$HOME" becomes "\$HOME"
#     pipe after a marker: "bcd" becomes a syntax error
# Matters: a tool that rewrites RUN steps through these trees writes other files, and
#   the first two cases show neither an error nor another exit status.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q libdash==0.5.2 >pip.log 2>&1 || { cat pip.log; exit 1; }
cat >copy.py <<'PY'
import sys, libdash
from libdash.printer import to_string

nodes = [to_string(node) for node, *_ in libdash.parse(sys.argv[1])]
print("\n".join(nodes))
PY
cat >group.sh <<'SH'
{ echo a; echo b; } >file
SH
cat >subshell.sh <<'SH'
(echo a; echo b) >file
SH
cat >marker.sh <<'SH'
cat <<'END'
$HOME
END
SH
cat >pipe.sh <<'SH'
cat <<END | tr a-y b-z
abc
END
SH
run() {
  rm -f file
  local out status=0
  out=$(dash "$1" 2>/dev/null) || status=$?
  if [ $status != 0 ]; then echo "a syntax error"; return; fi
  if [ -e file ]; then out="$out file: $(tr '\n' ' ' <file)"; fi
  echo "\"$(echo $out)\""
}
compare() {
  v/bin/python copy.py "$2" >copy.sh 2>/dev/null
  echo "$1: $(run "$2") becomes $(run copy.sh)"
}
got=$(compare group group.sh; compare subshell subshell.sh; compare 'quoted marker' marker.sh
  compare 'pipe after a marker' pipe.sh)
want='group: "file: a b" becomes "a file: b"
subshell: "file: a b" becomes "a file: b"
quoted marker: "$HOME" becomes "\$HOME"
pipe after a marker: "bcd" becomes a syntax error'
echo "$got"; [ "$got" = "$want" ]
