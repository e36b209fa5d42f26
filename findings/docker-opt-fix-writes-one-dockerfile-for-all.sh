#!/usr/bin/env bash
# Tool: docker-opt 0.2.0 (PyPI), an optimizer of Dockerfiles for Python.
# Expected: `docker-opt fix` changes the lines that `docker-opt analyze` reports, and
#   keeps the others: stages, packages, copied files, the command.
# Seen: the output is a fixed text that does not depend on the input. Two stages
#   become one, libpq5 is not installed, the build argument and ENV are gone, and CMD
#   starts the module "your_module". A Dockerfile of a Go program becomes the same file,
#   byte for byte. The exit status is 0, and standard error is empty. Output:
#     python: 1 stage, libpq5 no, TOKEN no, gunicorn no
#     python and go: the same file
# Matters: the result builds, as long as there is a requirements.txt, and is named
#   "Dockerfile.optimized"; what it leaves out shows when the container starts.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q docker-opt==0.2.0
mkdir python go
cat >python/Dockerfile <<'TXT'
FROM python:3.12 AS build
ARG TOKEN
COPY requirements.txt .
RUN pip wheel -w /wheels -r requirements.txt
FROM python:3.12-slim
RUN apt-get update && apt-get install -y libpq5
COPY --from=build /wheels /wheels
RUN pip install /wheels/*.whl
ENV TOKEN_FILE=/run/secrets/token
CMD ["gunicorn", "shop.wsgi"]
TXT
cat >go/Dockerfile <<'TXT'
FROM golang:1.24 AS build
COPY . /src
RUN cd /src && go build -o /server
FROM scratch
COPY --from=build /server /server
ENTRYPOINT ["/server"]
TXT
for name in python go; do
  v/bin/docker-opt fix --file $name/Dockerfile --stdout >$name/fixed 2>err
  cat err; [ ! -s err ]
done
has() { if grep -q "$1" python/fixed; then echo "$1 yes"; else echo "$1 no"; fi; }
got="python: $(grep -c '^FROM' python/fixed) stage, $(has libpq5), $(has TOKEN), $(has gunicorn)
python and go: $(if cmp -s python/fixed go/fixed; then echo the same file; else echo different files; fi)"
want='python: 1 stage, libpq5 no, TOKEN no, gunicorn no
python and go: the same file'
cat python/fixed; echo "$got"; [ "$got" = "$want" ]
