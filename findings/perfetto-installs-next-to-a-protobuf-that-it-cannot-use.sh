#!/usr/bin/env bash
# Tool: perfetto 0.59.1 and flameshow 1.1.5 (PyPI, both 2026) in one environment.
# Expected: pip chooses versions that work together or refuses.
# Seen: flameshow needs protobuf below 5. perfetto asks for any protobuf, but its
#   generated code needs a newer one. pip installs both, `pip check` finds nothing,
#   and the writer of traces cannot be imported. Output:
#     No broken requirements found.
#     protobuf 4.25.9: cannot import name 'runtime_version' from 'google.protobuf'
#   perfetto alone gets a newer protobuf and works.
# Matters: a script that wrote traces stops working when a viewer is installed next
#   to it, and pip's answers say that all is well.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cat >a.py <<'PY'
from importlib.metadata import version

try:
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder
    print("imported", TraceProtoBuilder.__name__)
except ImportError as error:
    print(f"protobuf {version('protobuf')}:", str(error).split(" (")[0])
PY
python3 -m venv alone
alone/bin/pip install -q perfetto==0.59.1 protobuf==7.36.2
python3 -m venv both
both/bin/pip install -q perfetto==0.59.1 flameshow==1.1.5
got=$(alone/bin/python a.py; both/bin/pip check; both/bin/python a.py)
want='imported TraceProtoBuilder
No broken requirements found.
protobuf 4.25.9: cannot import name '"'runtime_version' from 'google.protobuf'"
echo "$got"; [ "$got" = "$want" ]
