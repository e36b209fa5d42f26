#!/usr/bin/env bash
# Tool: shfmt 3.14.1 (PyPI shfmt-py 4.2.0), `shfmt -mn` (minify).
# Expected: the minified script means the same.
# Seen: the blank between two signs is removed. $((a - -b)) becomes $((a--b)), a
#   syntax error; $((- -a)) becomes $((--a)), which gives another value and
#   changes the variable. A case with a single empty branch becomes
#   `case x in a);esac`, which bash and dash refuse.
# Matters: a script minified for a RUN line or an entry point computes something
#   else, without an error in the second form.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps shfmt-py==4.2.0
v/bin/shfmt --version
got=$(
  for text in 'echo $((a - -b))' 'echo $((- -a)) $a' 'echo $((a - b))' 'case $a in b) ;; esac'; do
    short=$(v/bin/shfmt -mn <<<"$text")
    before=$(bash -c "a=5 b=3; $text" 2>&1)
    after=$(bash -c "a=5 b=3; $short" 2>/dev/null) || after=error
    echo "$text gives '$before'; $short gives '$after'"
  done
)
want='echo $((a - -b)) gives '"'8'"'; echo $((a--b)) gives '"'error'"'
echo $((- -a)) $a gives '"'5 5'"'; echo $((--a)) $a gives '"'4 4'"'
echo $((a - b)) gives '"'2'"'; echo $((a-b)) gives '"'2'"'
case $a in b) ;; esac gives '"''"'; case $a in b);esac gives '"'error'"
echo "$got"; [ "$got" = "$want" ]
