#!/usr/bin/env bash
# Tool: pydantic 2.14.4 (PyPI), the type ByteSize.
# Expected: a text that is not a size is refused, as "1 024 MB" is.
# Seen: reading stops at the first character that fits nothing, and what is left
#   is ignored: "1,024 MB" is 1 byte, "12'345 kB" 12 bytes, "2 GiB, 512 MiB" is
#   2 GiB, and "10 GB/s" is a size.
# Matters: a memory limit or a layer size with a thousands separator, as reports
#   print it, becomes one byte instead of an error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q pydantic==2.14.4
got=$(v/bin/python - <<'PY'
from pydantic import ByteSize, TypeAdapter, ValidationError
for text in ["512 MiB", "1,024 MB", "12'345 kB", "1,5g", "2 GiB, 512 MiB", "10 GB/s", "1 024 MB"]:
    try:
        print(text, "=", int(TypeAdapter(ByteSize).validate_python(text)))
    except ValidationError:
        print(text, "is refused")
PY
)
want="512 MiB = 536870912
1,024 MB = 1
12'345 kB = 12
1,5g = 1
2 GiB, 512 MiB = 2147483648
10 GB/s = 10000000000
1 024 MB is refused"
echo "$got"; [ "$got" = "$want" ]
