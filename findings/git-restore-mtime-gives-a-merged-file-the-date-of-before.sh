#!/usr/bin/env bash
# Tool: git-restore-mtime 2022.12 (git-restore-mtime 2022.12-1, Debian 12), which gives the files of a clone the dates of
#   their commits; git and make (installed).
# Expected: a file whose content differs between two commits has another date after the second one, so that make, or a
#   cache that compares dates, sees the change.
# Seen: the date is that of the last commit that is not a merge. When both sides of a merge changed a file, the merge gives it
#   new content, but its date stays that of the change on the main branch. With --merge, the date is that of the merge. The
#   help says that merges count only for files of no other commit. Output:
#     before the merge: 1 new lines, dated 2026-01-03, make runs
#     after the merge: 2 new lines, dated 2026-01-03, make does nothing
#     with --merge: dated 2026-01-05
# Matters: the tool is used in CI, where a clone dates all files today, to build on top of the outputs of the run before. After
#   such a merge the old output counts as up to date, and the build passes with it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q git-restore-mtime=2022.12-1 >apt.log 2>&1
dpkg-deb -x git-restore-mtime_*.deb deb
restore=$PWD/deb/usr/lib/git-core/git-restore-mtime
export TZ=UTC GIT_AUTHOR_NAME=name GIT_AUTHOR_EMAIL=name@example.org
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
git init --quiet --initial-branch=main tree
cd tree
day() { export GIT_AUTHOR_DATE="2026-01-0$1T12:00:00Z" GIT_COMMITTER_DATE="2026-01-0$1T12:00:00Z"; }
save() { git add .; git commit --quiet --message="$1"; }
lines() { printf '%s\n' "$1" 2 3 4 5 6 7 "$2" >source; }
dated() { touch source; python3 "$restore" --quiet "$@"; echo "dated $(date -r source +%F)"; }
look() { echo "$(grep -c new source) new lines, $(dated)"; }
lines 1 8; printf 'output: source\n\tgrep -c new source >output\n' >Makefile; day 1; save first
git branch side
lines 'new 1' 8; day 3; save main
git checkout --quiet side; lines 1 'new 8'; day 2; save side
git checkout --quiet main
make() {
    before=$(cat output 2>/dev/null || true)
    command make --silent output
    if [ "$(cat output)" = "$before" ]; then echo 'make does nothing'; else echo 'make runs'; fi
}
got="before the merge: $(look), $(make)"
# The output is made one day after the commit.
touch -d '2026-01-04T12:00:00Z' output
day 5; git merge --quiet --no-edit side
got="$got
after the merge: $(look), $(make)
with --merge: $(dated --merge)"
want='before the merge: 1 new lines, dated 2026-01-03, make runs
after the merge: 2 new lines, dated 2026-01-03, make does nothing
with --merge: dated 2026-01-05'
echo "$got"; [ "$got" = "$want" ]
