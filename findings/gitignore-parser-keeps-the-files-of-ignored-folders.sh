#!/usr/bin/env bash
# Tool: gitignore-parser 0.1.13 (PyPI), "spec-compliant"; igittigitt 2.3.1 (PyPI), and git (installed) for comparison.
# Expected: a file is ignored if a folder above it is, as the documentation of git says.
# Seen: that holds for a pattern with a slash at the end only. Without one, the folder is ignored and its files are
#   not. The same goes for a pattern with a star for the last name. Output (1 is ignored):
#     target/     target/debug/app: git 1, igittigitt 1, gitignore-parser 1
#     target      target/debug/app: git 1, igittigitt 1, gitignore-parser 0
#     /target     target/debug/app: git 1, igittigitt 1, gitignore-parser 0
#     docs/build  docs/build/page: git 1, igittigitt 1, gitignore-parser 0
#     target/*    target/debug/app: git 1, igittigitt 1, gitignore-parser 0
# Matters: a program that filters a list of files, such as the context of a build, sends all that a compiler left in
#   /target, the line that `cargo new` writes. A program that stops at each ignored folder is right.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check gitignore-parser==0.1.13 igittigitt==2.3.1
git init -q tree
cd tree
mkdir -p target/debug docs/build
touch target/debug/app docs/build/page
cat >../show.txt <<'PY'
import subprocess
from pathlib import Path

import gitignore_parser
import igittigitt

root = Path.cwd()
for pattern, name in (
    ("target/", "target/debug/app"),
    ("target", "target/debug/app"),
    ("/target", "target/debug/app"),
    ("docs/build", "docs/build/page"),
    ("target/*", "target/debug/app"),
):
    (root / ".gitignore").write_text(pattern + "\n")
    by_git = subprocess.run(["git", "check-ignore", "-q", name]).returncode == 0
    parser = igittigitt.IgnoreParser()
    parser.parse_rule_files(root)
    by_parser = gitignore_parser.parse_gitignore(root / ".gitignore")(root / name)
    found = f"git {by_git:d}, igittigitt {parser.match(root / name):d}, gitignore-parser {by_parser:d}"
    print(f"{pattern:11} {name}: {found}")
PY
got=$(../venv/bin/python ../show.txt)
want='target/     target/debug/app: git 1, igittigitt 1, gitignore-parser 1
target      target/debug/app: git 1, igittigitt 1, gitignore-parser 0
/target     target/debug/app: git 1, igittigitt 1, gitignore-parser 0
docs/build  docs/build/page: git 1, igittigitt 1, gitignore-parser 0
target/*    target/debug/app: git 1, igittigitt 1, gitignore-parser 0'
echo "$got"; [ "$got" = "$want" ]
