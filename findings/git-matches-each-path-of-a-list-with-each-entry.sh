#!/usr/bin/env bash
# Tool: git 2.39.5-0+deb12u3 (Debian 12); valgrind 3.19.0, which counts instructions.
# Expected: a list of twice as many files, given with --pathspec-from-file, takes about twice the work. The
#   index is sorted, and plain names without * and ? could be looked up in it. The manual gives no limit,
#   and says that git update-index --stdin takes its paths literally, not that it is another class of work.
# Seen: add, rm, checkout, reset and commit compare each path of the list with the entries of the index:
#   four times the work for twice as many files, also with --literal-pathspecs and with names on the command
#   line, as xargs gives them. update-index --stdin looks each one up. Output, instructions for 2000 files
#   compared with 1000:
#     add: 4 times
#     add with --literal-pathspecs: 4 times
#     checkout: 4 times
#     reset: 4 times
#     rm --cached: 4 times
#     update-index --stdin: at most 2 times
#   In processor time on a busy machine, for 20,000 files: add 12 s, checkout 8 s, rm 30 s, update-index 0.02 s.
# Matters: scripts that commit generated files, or take files out of another branch, give git such a list.
#   One of 100,000 files takes five minutes to add and twelve to remove; update-index takes a second.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q git=1:2.39.5-0+deb12u3 libpcre2-8-0=10.42-1 valgrind=1:3.19.0-1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu VALGRIND_LIB=$PWD/deb/usr/libexec/valgrind
export GIT_EXEC_PATH=$PWD/deb/usr/lib/git-core GIT_CONFIG_NOSYSTEM=1 HOME=$PWD
git() { "${count[@]}" deb/usr/bin/git -C "$tree" "$@"; }
instructions() { # FILES COMMAND...: the instructions of git COMMAND with a list of so many files
    local count=() tree=tree.$1; shift
    rm -rf copy; cp -a "$tree" copy; tree=copy
    count=(deb/usr/bin/valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null)
    git "$@" >git.log 2>valgrind.log <"$list"
    sed -n 's/.*I *refs: *//p' valgrind.log | tr -d ,
}
for number in 1000 2000; do
    count=() tree=tree.$number
    mkdir "$tree"; git init -q
    seq -f 'file-%05g' "$number" >"list.$number"
    (cd "$tree"; xargs touch <"../list.$number")
    git update-index --add --stdin <"list.$number"
    git -c user.name=example -c user.email=a@example.org commit -qm files
done
times() { # COMMAND...: how many times the work of 1000 files is that of 2000; @ is the list
    local number result=()
    for number in 1000 2000; do
        list=$dir/list.$number
        result+=("$(instructions "$number" "${@/@/$list}")")
    done
    awk -v a="${result[0]}" -v b="${result[1]}" 'BEGIN { if (b / a > 2.2) printf "%.0f times", b / a; else print "at most 2 times" }'
}
got="add: $(times add --pathspec-from-file=@)
add with --literal-pathspecs: $(times --literal-pathspecs add --pathspec-from-file=@)
checkout: $(times checkout -q HEAD --pathspec-from-file=@)
reset: $(times reset -q --pathspec-from-file=@)
rm --cached: $(times rm -q --cached --pathspec-from-file=@)
update-index --stdin: $(times update-index --stdin)"
want='add: 4 times
add with --literal-pathspecs: 4 times
checkout: 4 times
reset: 4 times
rm --cached: 4 times
update-index --stdin: at most 2 times'
echo "$got"; [ "$got" = "$want" ]
