#!/usr/bin/env bash
# Tool: distcc 3.4 (distcc 3.4+really3.4-3, libpopt0 1.19+dfsg-1, libavahi-client3 and libavahi-common3
#   0.8-10+deb12u1, Debian 12) with gcc 12. The server runs on this machine, for a second, as the user nobody. Runs as root.
# Expected: what makes more files than the object is compiled here, as it is with --coverage, or the server sends all files.
# Seen: only the object comes back, and the file of -MD, which is made here. The debug information that -gsplit-dwarf writes
#   next to the object, and the files of -fstack-usage, -save-temps, -fcallgraph-info, -fdump-tree-optimized and -aux-info
#   are lost. distcc exits with 0. Output:
#     -MD: a.d a.o, with distcc a.d a.o
#     --coverage: a.gcno a.o, with distcc a.gcno a.o
#     -g -gsplit-dwarf: a.dwo a.o, with distcc a.o
#     -fstack-usage: a.o a.su, with distcc a.o
#     -fcallgraph-info: a.ci a.o, with distcc a.o
#     -save-temps: a.i a.o a.s, with distcc a.o
#     -fdump-tree-optimized: a.c.252t.optimized a.o, with distcc a.o
#     -aux-info a.x: a.o a.x, with distcc a.o
# Matters: a build with -gsplit-dwarf passes, and the debugger has no source lines for it. When the server is busy distcc compiles
#   here, so the files are there for some objects and not for others.
set -euo pipefail
dir=$(mktemp -d); trap 'if [ -s daemon ]; then kill "$(cat daemon)"; fi; rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q distcc=3.4+really3.4-3 libpopt0=1.19+dfsg-1 libavahi-client3=0.8-10+deb12u1 \
    libavahi-common3=0.8-10+deb12u1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu
# Without --enable-tcp-insecure the server needs a list of compilers in a folder of the installed package.
chmod 755 .
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
deb/usr/bin/distccd --no-detach --daemon --enable-tcp-insecure --listen 127.0.0.1 --allow 127.0.0.1 --port "$port" \
    --user nobody --log-stderr 2>daemon.log & echo $! >daemon
for _ in $(seq 300); do
    if python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>socket.log; then break; fi
    sleep 0.1
done
mkdir state
export DISTCC_DIR=$PWD/state DISTCC_HOSTS=127.0.0.1:$port DISTCC_FALLBACK=0
distcc=$PWD/deb/usr/bin/distcc
printf 'int f(int x) { return x; }\n' >a.c
files() { rm -rf work; mkdir work; (cd work; "$@" >>../log 2>&1; echo *); }
while read -r options; do
    # The options are separate words.
    # shellcheck disable=SC2086
    echo "$options: $(files gcc -c ../a.c -o a.o $options), with distcc $(files "$distcc" gcc -c ../a.c -o a.o $options)"
done >got <<'OPTIONS'
-MD
--coverage
-g -gsplit-dwarf
-fstack-usage
-fcallgraph-info
-save-temps
-fdump-tree-optimized
-aux-info a.x
OPTIONS
want='-MD: a.d a.o, with distcc a.d a.o
--coverage: a.gcno a.o, with distcc a.gcno a.o
-g -gsplit-dwarf: a.dwo a.o, with distcc a.o
-fstack-usage: a.o a.su, with distcc a.o
-fcallgraph-info: a.ci a.o, with distcc a.o
-save-temps: a.i a.o a.s, with distcc a.o
-fdump-tree-optimized: a.c.252t.optimized a.o, with distcc a.o
-aux-info a.x: a.o a.x, with distcc a.o'
cat got; [ "$(cat got)" = "$want" ]
