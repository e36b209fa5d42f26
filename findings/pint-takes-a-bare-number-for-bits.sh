#!/usr/bin/env bash
# Tool: pint 0.25.3 (PyPI), quantities with units.
# Expected: adding a number without a unit to bytes, or converting it to bytes,
#   is a DimensionalityError, as it is for metres and seconds.
# Seen: a bit is dimensionless, so 3 + 1 byte is 11, and a size of 1500000
#   without a unit is 0.1875 MB. Rates work alike: 5 per second is 5 bit/s.
# Matters: a column of sizes that lost its unit is read as bits, an eighth of
#   the bytes that it means, by the library that is there to prevent this.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q pint==0.25.3
got=$(v/bin/python - <<'PY'
import pint
units = pint.UnitRegistry()
print("3 + 1 byte =", 3 + units("1 byte"))
print("1500000 =", units.Quantity(1500000).to("MB"))
print("800 / s =", units.Quantity("800 / s").to("byte / s"))
try:
    print(3 + units("1 m"))
except pint.DimensionalityError:
    print("3 + 1 m is refused")
PY
)
want='3 + 1 byte = 11 dimensionless
1500000 = 0.1875 megabyte
800 / s = 100.0 byte / second
3 + 1 m is refused'
echo "$got"; [ "$got" = "$want" ]
