#!/usr/bin/env bash
# Tool: in-toto 3.1.0 (PyPI, 2026), `in-toto-run`, which runs a build step and signs what went in and out.
# Expected: a wrapper of build steps shows what the step prints, has no time limit by default, and if there is
#   one, it ends the processes of the step.
# Seen: the output is discarded, errors of the compiler too, unless --record-streams is given. After ten
#   seconds (the default of --run-timeout) the process that it started is killed and the exit status is 1;
#   no link is written. What that process had started goes on and writes its files later. Output, a script
#   that prints a line and whose child writes a file once in-toto-run has ended:
#     lines of the step shown: 0
#     exit status 1, link files: 0, file of the step: not there
#     after that, file of the step: there
# Matters: make or a shell is killed, the compilers below it are not. CI calls the step failed, and retries it
#   while the first try still writes into the same tree; or the next step records products that no link
#   explains. The default is in --help, the rest is not.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check in-toto==3.1.0
venv/bin/python - <<'EOF'
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

with open("key.pem", "wb") as key:
    key.write(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
EOF
mkdir step; cd step
cat >build.sh <<'EOF'
echo compiling
sh -c 'until [ -e ../ended ]; do sleep 0.1; done; echo done >product'
echo end
EOF
status=0
../venv/bin/in-toto-run --step-name build --signing-key ../key.pem --products . -- sh build.sh >../shown 2>../errors || status=$?
there() { if [ -e product ]; then echo there; else echo 'not there'; fi; }
got="lines of the step shown: $(cat ../shown ../errors | grep -c '^compiling' || true)
exit status $status, link files: $(find . -name '*.link' | wc -l), file of the step: $(there)
$(touch ../ended; for _ in $(seq 300); do [ -e product ] && break; sleep 0.1; done)after that, file of the step: $(there)"
want='lines of the step shown: 0
exit status 1, link files: 0, file of the step: not there
after that, file of the step: there'
grep -q TimeoutExpired ../errors
echo "$got"; [ "$got" = "$want" ]
