#!/usr/bin/env bash
# Tool: File::Copy of Perl 5.36 and `file rename` of Tcl 8.6 (both installed, Debian 12), busybox 1.35.0
#   (busybox-static 1:1.35.0-4+deb12u1+b1); mv of coreutils for comparison. Runs as root. /dev/shm has to be another
#   file system than /tmp.
# Expected: a program that is moved stays as it is, wherever it is moved to. mv copies owner, mode, date and attributes when the
#   two folders are on two file systems.
# Seen: move() of Perl copies the content and the date only: the file cannot be run and belongs to the user. Its documentation
#   says that it copies then, not that this is all. Tcl loses the owner and the fraction of the date, busybox the
#   fraction and the attributes. Output:
#     mv: mode 2755, owner 70:80, date .5, attribute kept
#     Perl: mode 644, owner 0:0, date .5, attribute lost
#     Tcl: mode 2755, owner 0:0, date .0, attribute lost
#     busybox: mode 2755, owner 70:80, date .0, attribute lost
# Matters: in a build step, /tmp or a mounted cache is another file system than the image. A script that works on a developer's
#   machine leaves programs in the image that cannot be run.
set -euo pipefail
dir=$(mktemp -d); shared=$(mktemp -d -p /dev/shm); trap 'rm -rf "$dir" "$shared"' EXIT; cd "$dir"
[ "$(stat -c %d "$shared")" != "$(stat -c %d .)" ]
apt-get download -q busybox-static=1:1.35.0-4+deb12u1+b1 attr=1:2.5.1-4 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
umask 022
try() {
    name=$1; shift
    echo content >"$shared/program"
    chown 70:80 "$shared/program"; chmod 2755 "$shared/program"
    # A tmpfs has no "user" attributes before Linux 6.6.
    deb/usr/bin/setfattr -n trusted.note -v x "$shared/program"
    touch -d '2020-01-01 00:00:00.5' "$shared/program"
    rm -f program
    "$@"
    attribute=lost
    if deb/usr/bin/getfattr -n trusted.note program >/dev/null 2>&1; then attribute=kept; fi
    echo "$name: $(stat -c 'mode %a, owner %u:%g' program), date $(stat -c %.1Y program | cut -c11-), attribute $attribute"
}
got="$(try mv mv "$shared/program" program)
$(try Perl perl -MFile::Copy=move -we 'move(@ARGV) or die' "$shared/program" program)
$(try Tcl tclsh <(echo 'file rename [lindex $argv 0] [lindex $argv 1]') "$shared/program" program)
$(try busybox deb/bin/busybox mv "$shared/program" program)"
want='mv: mode 2755, owner 70:80, date .5, attribute kept
Perl: mode 644, owner 0:0, date .5, attribute lost
Tcl: mode 2755, owner 0:0, date .0, attribute lost
busybox: mode 2755, owner 70:80, date .0, attribute lost'
echo "$got"; [ "$got" = "$want" ]
