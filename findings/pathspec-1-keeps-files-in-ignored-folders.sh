#!/usr/bin/env bash
# Tool: pathspec 1.1.1 (PyPI); git for comparison.
# Expected: PathSpec.from_lines('gitignore', ...), which the documentation of
#   version 1 shows first, selects the files that git ignores.
# Seen: a pattern with a slash that ends in a star does not cover what lies in a
#   folder that it matches. `/*` matches files at the top only, so the usual list
#   "/*" and "!/src" lets secret/key through. GitIgnoreSpec in the same package
#   and the older name 'gitwildmatch' agree with git.
# Matters: code that moves from the deprecated name to the new one packs files
#   that its ignore file excludes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps pathspec==1.1.1
git init -q tree; cd tree
mkdir -p src secret lib/deep
touch top src/a.c secret/key lib/a lib/deep/b
cat >a.py <<'PY'
import subprocess, warnings, pathspec
warnings.simplefilter("ignore")
files = ["top", "src/a.c", "secret/key", "lib/a", "lib/deep/b"]
for lines in (["/*", "!/src"], ["lib/*"]):
    open(".gitignore", "w").write("\n".join(lines) + "\n")
    run = subprocess.run(["git", "check-ignore", "--stdin"], input="\n".join(files), capture_output=True, text=True)
    print(*lines)
    print("  git          ", *sorted(run.stdout.split()))
    for style in ("gitignore", "gitwildmatch"):
        print(" ", style.ljust(13), *sorted(pathspec.PathSpec.from_lines(style, lines).match_files(files)))
    print("  GitIgnoreSpec", *sorted(pathspec.GitIgnoreSpec.from_lines(lines).match_files(files)))
PY
got=$(../v/bin/python a.py)
want='/* !/src
  git           lib/a lib/deep/b secret/key top
  gitignore     top
  gitwildmatch  lib/a lib/deep/b secret/key top
  GitIgnoreSpec lib/a lib/deep/b secret/key top
lib/*
  git           lib/a lib/deep/b
  gitignore     lib/a
  gitwildmatch  lib/a lib/deep/b
  GitIgnoreSpec lib/a lib/deep/b'
echo "$got"; [ "$got" = "$want" ]
