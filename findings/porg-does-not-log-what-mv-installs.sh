#!/usr/bin/env bash
# Tool: porg 0.10 (porg 2:0.10-1.2), which records the files that `make install` makes, with coreutils 9.1 (both Debian 12).
# Expected: each file that a dynamically linked program puts in place is logged, by whatever call. The examples of its manual page
#   log `mv /bin/bar /usr/bin/bar`.
# Seen: the library that porg loads into each program knows rename(). mv of coreutils calls renameat2(), so what mv moves is
#   not logged under its new name. If the step made it before, the log has the name that is gone. Output:
#     redirection: new; cp: new; install: new; ln: new; Perl's rename: new
#     mv: nothing
#     cp to a temporary name, then mv: a name that is gone
# Matters: many install steps write next to the target and move it into place, so that no half file is seen. Their files
#   belong to no package, stay when it is removed, and are missing in its list.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q porg=2:0.10-1.2 coreutils=9.1-1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
export PATH=$PWD/deb/bin:$PATH
library=$PWD/deb/usr/lib/libporg-log.so
mkdir target
# Runs a step as porg does, which finds its library only when it is installed, and prints what the log says.
step() {
    rm -rf target/*; : >log; echo content >source
    PORG_TMPFILE=$PWD/log LD_PRELOAD=$library sh -c "$1"
    logged=nothing
    while read -r file; do
        if [ "$file" = "$PWD/target/new" ]; then logged=new; break; fi
        if [[ $file == $PWD/target/* && ! -e $file ]]; then logged='a name that is gone'; fi
    done <log
    echo -n "$logged"
}
got="redirection: $(step 'echo content >target/new'); cp: $(step 'cp source target/new'); \
install: $(step 'install source target/new'); ln: $(step 'ln source target/new'); \
Perl's rename: $(step "perl -e 'rename qw(source target/new) or die'")
mv: $(step 'mv source target/new')
cp to a temporary name, then mv: $(step 'cp source target/temporary; mv target/temporary target/new')"
want="redirection: new; cp: new; install: new; ln: new; Perl's rename: new
mv: nothing
cp to a temporary name, then mv: a name that is gone"
echo "$got"; [ "$got" = "$want" ]
