#!/usr/bin/env bash
# Tool: mbake 1.4.6 (PyPI, 2026); GNU make 4.3 for comparison.
# Expected: the formatter of makefiles leaves the text between define and endef as it is: it is a value, often a script
#   in another language.
# Seen: blanks at the start of a line become a tab, and = and : get blanks around them, inside the text too. The exit
#   status is 0, and `mbake validate` is content with the result. Output of two targets before and after `mbake format`:
#     before: build {'path': 'a:b'}
#     before: folder is out
#     after: TabError
#     after: sh: 1: folder: not found
#     mbake validate: 0
# Matters: the formatter runs as a hook before each commit. The makefile is still valid, and the script in it fails when
#   the target that uses it runs, which can be the release.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check mbake==1.4.6
cat >Makefile <<'MAKE'
define REPORT
def main():
    paths = {"path": "a:b"}
    print("build", paths)

main()
endef
export REPORT
define INSTALL
folder=out
echo "folder is $$folder"
endef
export INSTALL
report:
	@echo "$$REPORT" | python3 -
install:
	@echo "$$INSTALL" | sh -e
MAKE
try() {
  make report 2>&1 | grep --only-matching -e 'build .*' -e TabError | sed "s/^/$1: /"
  make install 2>&1 | grep --only-matching -e 'folder is .*' -e 'sh: .*' | sed "s/^/$1: /"
}
got=$(try before
  venv/bin/mbake format Makefile >mbake.log
  try after
  venv/bin/mbake validate Makefile >mbake.log && echo "mbake validate: $?")
want="before: build {'path': 'a:b'}
before: folder is out
after: TabError
after: sh: 1: folder: not found
mbake validate: 0"
echo "$got"; [ "$got" = "$want" ]
