#!/usr/bin/env bash
# Tool: beautify-bash 2.0.0 (PyPI, 2026).
# Expected: the formatter leaves the lines of a string as they are. Its documentation says so: strings over several lines
#   are passed through byte for byte, since indenting must not change what a script does.
# Seen: that holds for a string that is a word of its own. The lines of one that is assigned, name='...' or
#   --option='...', are indented like commands, or lose their blanks. The exit status is 0. Output of a script before and
#   after:
#     before: steps:|  - make|version: 2
#     before: default:|  image: debian
#     after: steps:|  - make|  version: 2
#     after: default:|image: debian
#   A line break is printed as |.
# Matters: YAML and Python in a script are their indentation: the pipeline that the script writes has other keys, and no
#   linter of the script sees it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check beautify-bash==2.0.0
cat >script <<'SH'
write() {
  steps='steps:
  - make
version: 2'
  printf '%s\n' "$steps" | paste -sd '|'
}
write
pipeline="default:
  image: debian"
printf '%s\n' "$pipeline" | paste -sd '|'
SH
bash -n script
got=$(bash script | sed 's/^/before: /'
  venv/bin/beautify-bash script 2>beautify.log >after
  bash after | sed 's/^/after: /')
want='before: steps:|  - make|version: 2
before: default:|  image: debian
after: steps:|  - make|  version: 2
after: default:|image: debian'
echo "$got"; [ "$got" = "$want" ]
