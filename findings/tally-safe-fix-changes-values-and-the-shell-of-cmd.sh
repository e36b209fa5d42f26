#!/usr/bin/env bash
# Tool: tally 0.45.0 (PyPI tally-cli, 2026), `tally lint --fix`, "all safe fixes"; buildah
#   1.28.2+ds1-3+deb12u1+b3 (Debian 12, run as root) to build both files.
# Expected: a safe fix gives a file that builds the same image.
# Seen: it does not. In the old form of ENV, quotes and backslashes are part of the
#   syntax; the fix quotes them once more, so they become part of the value. CMD is
#   moved to the end, behind a SHELL that did not apply to it. Blanks at the end of lines
#   in here-documents go. Output, the variables of both images, the order of the two
#   instructions and the copied text:
#     before: NAME=two words PATHS=a b, CMD SHELL, "line  "
#     after: NAME="two words" PATHS=a\ b, SHELL CMD, "line"
# Matters: the container starts with another shell, which small images do not have, and
#   programs get values with quotes in them.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q tally-cli==0.45.0
apt-get download -q buildah=1.28.2+ds1-3+deb12u1+b3 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 libseccomp2=2.5.4-1+deb12u1 libsubid4=1:4.13+dfsg1-1+deb12u2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export TMPDIR=$dir libraries=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu
mkdir context; cat >context/Dockerfile <<'DOCKERFILE'
FROM scratch
ENV NAME "two words"
ENV PATHS a\ b
COPY text /
CMD echo run
SHELL ["/bin/bash", "-c"]
DOCKERFILE
echo text >context/text
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
store="--root $dir/root --runroot $dir/run --storage-driver vfs"
buildah() { LD_LIBRARY_PATH=$libraries deb/usr/bin/buildah $store "$@"; }
show() {
  buildah bud --signature-policy policy.json --isolation chroot --format docker -q -t "$1" context >/dev/null
  env=$(buildah inspect --type image --format '{{range .Docker.Config.Env}}{{.}}{{"\n"}}{{end}}' "$1" | grep -v '^PATH=\|^$' | paste -s -d ' ')
  echo "$1: $env, $(grep -o '^\(CMD\|SHELL\)' context/Dockerfile | paste -s -d ' '), $2"
}
heredoc() { printf 'FROM scratch\nCOPY <<EOF /text\nline  \nEOF\n'; }
{
  mkdir text; heredoc >text/Dockerfile
  show before "\"$(sed -n 3p text/Dockerfile)\""
  v/bin/tally lint --no-config --fix context/Dockerfile >fix.log 2>&1 || true
  v/bin/tally lint --no-config --fix text/Dockerfile >>fix.log 2>&1 || true
  show after "\"$(grep '^line' text/Dockerfile)\""
} >got
want='before: NAME=two words PATHS=a b, CMD SHELL, "line  "
after: NAME="two words" PATHS=a\ b, SHELL CMD, "line"'
cat got; [ "$(cat got)" = "$want" ]
