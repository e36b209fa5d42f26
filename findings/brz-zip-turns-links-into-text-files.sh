#!/usr/bin/env bash
# Tool: Breezy 3.3.23 (PyPI breezy), `brz export`, which writes a revision as a folder or an archive; the name says which.
#   Unpacked with unzip of Info-ZIP and GNU tar (installed).
# Expected: an archive has what the folder has. Zip can hold execute bits and symbolic links: zip and unzip of Info-ZIP keep both.
# Seen: in a zip archive no file can be executed, and a symbolic link is a text file with the suffix ".lnk" whose content is
#   the target. There is no message and the exit status is 0. Output, after unpacking:
#     folder: link -> run, run 755
#     tar: link -> run, run 755
#     zip: link.lnk 644, run 644
# Matters: `configure` and the scripts of a source archive cannot be run, and what a link names, such as a file of another
#   version, is not found. A build from the zip is another one than the build from the tar of the same revision.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; export HOME=$dir; umask 022
python3 -m venv v
v/bin/pip install -q breezy==3.3.23
brz() { "$dir/v/bin/brz" "$@"; }
brz init -q tree; cd tree
echo '#!/bin/sh' >run; chmod 755 run; ln -s run link
brz whoami --branch 'Example <a@example.org>'; brz add -q; brz commit -q -m one
brz export ../folder; brz export --root=. ../tree.tar; brz export --root=. ../tree.zip; cd ..
mkdir tar zip; tar -C tar -xf tree.tar; unzip -q tree.zip -d zip
list() {
    (cd "$1" && for name in *; do if [ -L "$name" ]; then echo "$name -> $(readlink "$name")"; else echo "$name $(stat -c %a "$name")"; fi; done) |
        paste -sd, | sed 's/,/, /g'
}
got="folder: $(list folder)
tar: $(list tar)
zip: $(list zip)"
want='folder: link -> run, run 755
tar: link -> run, run 755
zip: link.lnk 644, run 644'
echo "$got"; [ "$got" = "$want" ]
