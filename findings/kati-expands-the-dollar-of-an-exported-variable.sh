#!/usr/bin/env bash
# Tool: kati 10.0.0+r32 (kati 10.0.0+r32+git20220314.09dfa26c4e59-7+b2, Debian 12), which turns makefiles into build.ninja, with
#   ninja 1.11.1 (ninja-build 1.11.1-2~deb12u1); make (installed) for comparison.
# Expected: the variables that a makefile exports have the same values under make and under ninja.sh, the script that kati
#   writes for them. Recipes with $$ in them are converted right.
# Seen: ninja.sh has the values in double quotes, with dollar signs as they are, so that bash expands them once more. $ORIGIN, the
#   folder of a program in its search path for libraries, becomes nothing. There is no message. Output:
#     make: LDFLAGS is -Wl,-rpath,$ORIGIN/../lib
#     kati and ninja.sh: LDFLAGS is -Wl,-rpath,/../lib
#     kati without ninja: LDFLAGS is -Wl,-rpath,$ORIGIN/../lib
# Matters: the build passes, and the program looks for its libraries in /lib: it starts where it was built, if the same ones are
#   installed there, and fails elsewhere.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q kati=10.0.0+r32+git20220314.09dfa26c4e59-7+b2 ninja-build=1.11.1-2~deb12u1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
export PATH=$PWD/deb/usr/bin:$PATH
cat >Makefile <<'MAKE'
export LDFLAGS := -Wl,-rpath,$$ORIGIN/../lib
flags:
	echo "LDFLAGS is $$LDFLAGS" >flags
MAKE
run() { rm -f flags; "$@" >>log 2>&1; cat flags; }
got="make: $(run make flags)
kati and ninja.sh: $(kati --ninja >>log 2>&1; run bash ninja.sh flags)
kati without ninja: $(run kati flags)"
want='make: LDFLAGS is -Wl,-rpath,$ORIGIN/../lib
kati and ninja.sh: LDFLAGS is -Wl,-rpath,/../lib
kati without ninja: LDFLAGS is -Wl,-rpath,$ORIGIN/../lib'
echo "$got"; [ "$got" = "$want" ]
