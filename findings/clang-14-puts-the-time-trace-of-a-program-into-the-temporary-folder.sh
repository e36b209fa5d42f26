#!/usr/bin/env bash
# Tool: clang 14.0.6 (clang-14, libclang-cpp14, libllvm14, libclang-common-14-dev 1:14.0.6-12, with the libraries that it needs,
#   all Debian 12), -ftime-trace; needs gcc for the linker and the C library.
# Expected: a JSON file next to the output, as `clang -ftime-trace -c a.c -o out/a.o` writes out/a.json.
# Seen: the file is written next to the object file. If clang links in the same call, the object file is a temporary one: the traces
#   are in the folder for temporary files under random names, nothing says so, and they stay there. Output to standard
#   output makes a file "-.json". Output:
#     -c a.c -o out/a.o: out/a.json
#     a.c b.c -o out/program: tmp/a-N.json tmp/b-N.json
#     -S a.c -o -: -.json
# Matters: small programs, tests and what configure tries are compiled and linked in one call. A script that collects the traces next
#   to the outputs finds none of them, and a RUN step leaves them in the /tmp of its layer, with other names in each build.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q clang-14=1:14.0.6-12 libclang-cpp14=1:14.0.6-12 libllvm14=1:14.0.6-12 libclang-common-14-dev=1:14.0.6-12 \
  libz3-4=4.8.12-3.1 libxml2=2.9.14+dfsg-1.3~deb12u6 libedit2=3.1-20221030-2 libbsd0=0.11.7-2 libmd0=1.0.4-2 libicu72=72.1-3+deb12u1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
lib=$PWD/deb/usr/lib
export LD_LIBRARY_PATH=$lib/x86_64-linux-gnu:$lib/llvm-14/lib
mkdir work; cd work
echo 'int main(void) { return 0; }' >a.c
echo 'int other(void) { return 0; }' >b.c
# Prints where the traces of a call are.
traces() {
    rm -rf out tmp ./-.json; mkdir out tmp
    TMPDIR=tmp "$lib/llvm-14/bin/clang" -ftime-trace "$@" >assembler 2>messages
    [ ! -s messages ]
    echo "$*: $(find . -name '*.json' | sed 's|^\./||; s/-[0-9a-f]*\.json/-N.json/; s/^-N/-/' | sort | paste -sd' ')"
}
got=$(traces -c a.c -o out/a.o; traces a.c b.c -o out/program; traces -S a.c -o -)
want='-c a.c -o out/a.o: out/a.json
a.c b.c -o out/program: tmp/a-N.json tmp/b-N.json
-S a.c -o -: -.json'
echo "$got"; [ "$got" = "$want" ]
