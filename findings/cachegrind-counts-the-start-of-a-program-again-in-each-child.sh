#!/usr/bin/env bash
# Tool: cachegrind, cg_merge and callgrind of valgrind 3.19.0 (1:3.19.0-1, Debian 12); needs gcc.
# Expected: each process writes what it executed itself, and cg_merge gives the work of all. The manual
#   offers it for "a single parallel run with multiple instances of the same program".
# Seen: a child that was forked starts with all that its parent has counted up to then. Each file has
#   the work before the fork again, and cg_merge adds it as often. callgrind says besides that the
#   function was called once in each child. The manual says in another place that a child inherits the
#   data of its parent, and does not connect the two. Output, in millions of instructions, of a program
#   that runs before() once, forks three children and runs after():
#     parent: before 18.0, after 0.6
#     three children: before 54.0, child 1.8
#     cg_merge: before 72.0, child 1.8, after 0.6
#     callgrind: before was called 4 times in all files
# Matters: of a build tool, a test runner or a shell script that loads first and forks then, the start
#   seems to be most of the work: with a hundred workers it counts a hundred and one times.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q valgrind=1:3.19.0-1 >apt.log 2>&1
dpkg-deb -x valgrind_*.deb deb
export VALGRIND_LIB=$PWD/deb/usr/libexec/valgrind PATH=$PWD/deb/usr/bin:$PATH
cat >a.c <<'C'
#include <sys/wait.h>
#include <unistd.h>

static volatile long sum;

__attribute__((noinline)) void before(void) {
    for (long i = 0; i < 3000000; i++)
        sum += i;
}

__attribute__((noinline)) void child(void) {
    for (long i = 0; i < 100000; i++)
        sum += i;
}

__attribute__((noinline)) void after(void) {
    for (long i = 0; i < 100000; i++)
        sum += i;
}

int main(void) {
    before();
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            child();
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    after();
}
C
gcc -O1 -g a.c -o a
for tool in cachegrind callgrind; do
    valgrind --tool=$tool --$tool-out-file=$tool.%p ./a 2>$tool.log &
    echo $! >$tool.parent
    wait $!
done
parent=cachegrind.$(cat cachegrind.parent)
mapfile -t children < <(ls cachegrind.[0-9]* | grep -vx "$parent")
cg_merge -o merged cachegrind.[0-9]* 2>/dev/null
count() { # FILE...: millions of instructions of each function that has some
    for file in "$@"; do cg_annotate "$file"; done | awk '
        match($0, /a\.c:(before|child|after)$/) { name = substr($0, RSTART + 4); gsub(",", "", $1); sum[name] += $1 / 1e6 }
        END { split("before child after", names, " ")
              for (i = 1; i <= 3; i++) if (names[i] in sum) { printf "%s%s %.1f", comma, names[i], sum[names[i]]; comma = ", " } }'
}
called=$(for file in callgrind.[0-9]*; do callgrind_annotate --tree=calling "$file"; done | grep -c 'a\.c:before (1x)' || true)
got="parent: $(count "$parent")
three children: $(count "${children[@]}")
cg_merge: $(count merged)
callgrind: before was called $called times in all files"
want='parent: before 18.0, after 0.6
three children: before 54.0, child 1.8
cg_merge: before 72.0, child 1.8, after 0.6
callgrind: before was called 4 times in all files'
echo "$got"; [ "$got" = "$want" ]
