#!/usr/bin/env bash
# Tool: spython 0.3.14 (PyPI), `spython recipe`, which turns a Dockerfile into a recipe of Singularity.
# Expected: what it cannot express is an error or a warning. Singularity has several stages, too, and
#   its %environment is in force in the image only.
# Seen: an instruction is recognized by its first letters, so `ARG USERNAME=app` switches to the user
#   "NAME=app". All stages become one, with the base image of the last stage; the steps of the first
#   stage run there. USER becomes `su - app`, which changes the user of a shell of its own only. A
#   here-document is left without its command, SHELL and the JSON forms become commands, and a flag of
#   COPY a file. Exit status 0; only names that do not exist in the context give a warning. Output,
#   lines of the recipe for each of these:
#     ARG USERNAME=app: su - NAME=app # USERNAME=app
#     two stages: Bootstrap 1, From: alpine:3.19, Stage: build
#     RUN <<EOF: <<EOF
#     COPY --chown=1:1 a /a: --chown=1:1 /a
#     RUN ["make", "it"]: ["make", "it"]
#     SHELL ["/bin/ash", "-c"]: SHELL ["/bin/ash", "-c"]
# Matters: the recipe looks complete. Its build fails at best at `go build` in an image without Go, or
#   runs its steps as another user than the Dockerfile says, which the documentation does not mention.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q spython==0.3.14
touch a
recipe() { # prints the recipe of the Dockerfile on standard input; "FROM alpine:3.19" comes first unless it has one
    cat >Dockerfile
    grep -q ^FROM Dockerfile || sed -i '1i FROM alpine:3.19' Dockerfile
    v/bin/spython recipe Dockerfile 2>err
}
argument=$(echo 'ARG USERNAME=app' | recipe | grep NAME)
recipe >two <<'D'
FROM golang:1.22 AS build
RUN go build -o /out/app .
FROM alpine:3.19
COPY --from=build /out/app /app
D
grep -q '^go build' two
heredoc=$(printf 'RUN <<EOF\necho one\nEOF\n' | recipe | grep '<<')
copy=$(echo 'COPY --chown=1:1 a /a' | recipe | grep chown)
json=$(echo 'RUN ["make", "it"]' | recipe | grep make)
shell=$(echo 'SHELL ["/bin/ash", "-c"]' | recipe | grep SHELL)
got="ARG USERNAME=app: $argument
two stages: Bootstrap $(grep -c ^Bootstrap two), $(grep ^From two), $(grep ^Stage two)
RUN <<EOF: $heredoc
COPY --chown=1:1 a /a: $copy
RUN [\"make\", \"it\"]: $json
SHELL [\"/bin/ash\", \"-c\"]: $shell"
want='ARG USERNAME=app: su - NAME=app # USERNAME=app
two stages: Bootstrap 1, From: alpine:3.19, Stage: build
RUN <<EOF: <<EOF
COPY --chown=1:1 a /a: --chown=1:1 /a
RUN ["make", "it"]: ["make", "it"]
SHELL ["/bin/ash", "-c"]: SHELL ["/bin/ash", "-c"]'
echo "$got"; [ "$got" = "$want" ]
