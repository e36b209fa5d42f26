#!/usr/bin/env bash
# Tool: add-determinism 0.7.3 (crate, 2026), which Fedora runs after each package build;
#   zip and unzip (installed).
# Expected: only times and similar data are made equal. What an archive unpacks to stays
#   as it was.
# Seen: the type of an entry is dropped with the rest of its mode, so a symbolic link is
#   then a regular file with the name of the target as its text. There is no message and
#   the exit status is 0. Output:
#     before: regular file, symbolic link, script 755
#     after: regular file, regular file with the text real.txt, script 755
# Matters: an archive with links (a front end's bundle, a framework, a virtual
#   environment) is broken by the step that is there to make the build reproducible.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
nice cargo install -q --debug --locked --root tool add-determinism@0.7.3 2>cargo.log
echo text >real.txt
ln -s real.txt link.txt
echo exit >script
chmod 755 script
zip -q --symlinks a.zip real.txt link.txt script
look() {
  rm -rf out
  unzip -q a.zip -d out
  local link
  link=$(stat -c %F out/link.txt)
  [ -L out/link.txt ] || link="$link with the text $(cat out/link.txt)"
  echo "$1: $(stat -c %F out/real.txt), $link, script $(stat -c %a out/script)"
}
got=$(look before; SOURCE_DATE_EPOCH=1000000000 tool/bin/add-det a.zip >run.log; look after)
want='before: regular file, symbolic link, script 755
after: regular file, regular file with the text real.txt, script 755'
echo "$got"; [ "$got" = "$want" ]
