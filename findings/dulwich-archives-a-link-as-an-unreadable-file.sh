#!/usr/bin/env bash
# Tool: dulwich 1.2.21 (PyPI, 2026), porcelain.archive(); git for comparison.
# Expected: the same files as `git archive`: a symbolic link is one, and what
#   .gitattributes marks with export-ignore stays out.
# Seen: a link becomes an ordinary file of mode 000 that holds the target's name.
#   Files with export-ignore are packed, and export-subst is left as it is. Output:
#     dulwich: .gitattributes 644, link 0 a file of 3 bytes, run 755, secret 644, version 644
#     git: .gitattributes 664, link 777 to run, run 775, version 664
# Matters: a build context made from a commit has a file that no user but root can
#   read where a link to a program was, and it carries what was to stay out.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q dulwich==1.2.21
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
git init -q tree
cd tree
printf 'secret export-ignore\nversion export-subst\n' >.gitattributes
echo key >secret; echo '$Format:%s$' >version; echo '#!/bin/sh' >run; chmod 755 run; ln -s run link
git add -A; git commit -q -m first
cd ..
git -C tree archive HEAD >git.tar
cat >a.py <<'PY'
import io
import sys
import tarfile

from dulwich import porcelain


def show(name, data):
    texts = []
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            kind = f" to {entry.linkname}" if entry.issym() else f" a file of {entry.size} bytes" if entry.name == "link" else ""
            texts.append(f"{entry.name} {entry.mode:o}{kind}")
            if entry.name == "version":
                print(name, "version:", archive.extractfile(entry).read().decode().strip())
    print(f"{name}:", ", ".join(texts))


stream = io.BytesIO()
porcelain.archive("tree", "HEAD", outstream=stream)
show("dulwich", stream.getvalue())
show("git", open("git.tar", "rb").read())
PY
got=$(v/bin/python a.py)
want='dulwich version: $Format:%s$
dulwich: .gitattributes 644, link 0 a file of 3 bytes, run 755, secret 644, version 644
git version: first
git: .gitattributes 664, link 777 to run, run 775, version 664'
echo "$got"; [ "$got" = "$want" ]
