#!/usr/bin/env bash
# Tool: uftrace 0.13-1 (Debian 12, run as root so that it records when a process sleeps,
#   its default); needs gcc.
# Expected: `uftrace dump --flame-graph` has each function below its callers.
#   `uftrace graph` of the same recording has.
# Seen: a fork() takes one caller away, at times none, from what the parent does
#   afterwards. Output, of a program that calls last() from build() from main() after a
#   number of forks, as `uftrace graph` nests it and as the flame graph does:
#     0 forks: graph build last, flame graph main;build;last
#     9 forks: graph build last, flame graph last
# Matters: make and compiler drivers fork all the time. In the flame graph of a build the
#   time hangs at the root, and the functions that started the work look short.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q uftrace=0.13-1 libcapstone4=4.0.2-5 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu
cat >a.c <<'C'
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_ms(long ms) {
    struct timespec time = {0, ms * 1000000};
    nanosleep(&time, NULL);
}

void last(void) { sleep_ms(100); }

void build(int forks) {
    for (int i = 0; i < forks; i++) {
        if (fork() == 0) {
            sleep_ms(20);
            _exit(0);
        }
        wait(NULL);
    }
    last();
}

int main(int count, char **arguments) {
    build(atoi(arguments[count - 1]));
    return 0;
}
C
gcc -pg -O0 -o a a.c
for forks in 0 9; do
  deb/usr/bin/uftrace record --libmcount-path="$LD_LIBRARY_PATH/uftrace" -d "data$forks" ./a $forks >/dev/null
  graph=$(deb/usr/bin/uftrace graph -d "data$forks" | grep -o '\(build\|last\)$' | xargs)
  flame=$(deb/usr/bin/uftrace dump --flame-graph -d "data$forks" | grep -o '^[a-z;]*last' | sort -u)
  echo "$forks forks: graph $graph, flame graph $flame"
done >got
want='0 forks: graph build last, flame graph main;build;last
9 forks: graph build last, flame graph last'
cat got; [ "$(cat got)" = "$want" ]
