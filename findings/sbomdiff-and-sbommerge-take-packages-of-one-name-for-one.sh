#!/usr/bin/env bash
# Tool: sbomdiff 0.6.0 and sbommerge 0.2.0 (PyPI), with lib4sbom 0.10.4.
# Expected: two components are the same if their package URLs are: pkg:npm/ws is another
#   package than pkg:cargo/ws.
# Seen: only the name counts, and the last entry of a name wins. sbomdiff reports that
#   nothing changed when the package of one ecosystem is replaced by that of another.
#   When Debian's zlib is removed from an image that also has npm's zlib, it reports a
#   change of version. sbommerge keeps one of two packages of one name and version;
#   of two versions of a name in one input, only one is related to the document.
#   Output:
#     other ecosystem: Version changes 0, Removed packages 0, New packages 0
#     zlib of Debian removed: Version changes 1, Removed packages 0, New packages 0
#     merged: pkg:cargo/ws@1.0.0
#     zlib in the merged document: 2, related: 1
# Matters: container images hold packages of several ecosystems and several versions. A
#   replaced package is not in the report, and a merged SBOM lacks packages.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q sbomdiff==0.6.0 sbommerge==0.2.0 lib4sbom==0.10.4
cat >sbom.py <<'PY'
import json, sys

components = []
for url in sys.argv[1:]:
    name, version = url.rsplit("/", 1)[1].split("@")
    components.append({"type": "library", "name": name, "version": version, "purl": url})
print(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}))
PY
sbom() { v/bin/python sbom.py "${@:2}" >"$1.json"; }
sbom npm pkg:npm/ws@1.0.0
sbom cargo pkg:cargo/ws@1.0.0
sbom both pkg:deb/debian/zlib@1.2 pkg:npm/zlib@1.3
sbom one pkg:npm/zlib@1.3
difference() {
  v/bin/sbomdiff "$2.json" "$3.json" >log 2>&1 || true
  echo "$1: $(sed -n 's/^\(Version changes\|Removed packages\|New packages\): */\1 /p' log | paste -sd, | sed 's/,/, /g')"
}
difference 'other ecosystem' npm cargo >got
difference 'zlib of Debian removed' both one >>got
merge() { v/bin/sbommerge --format json -o merged.json "$1.json" "$2.json" >log 2>&1 || true; }
merge npm cargo
echo "merged: $(grep -o 'pkg:[a-z]*/ws@1.0.0' merged.json | paste -sd' ')" >>got
merge both npm
v/bin/python - >>got <<'PY'
import json

merged = json.load(open("merged.json"))
zlib = [package["SPDXID"] for package in merged["packages"] if package["name"] == "zlib"]
related = {relation["relatedSpdxElement"] for relation in merged["relationships"]}
print(f"zlib in the merged document: {len(zlib)}, related: {len(related.intersection(zlib))}")
PY
want='other ecosystem: Version changes 0, Removed packages 0, New packages 0
zlib of Debian removed: Version changes 1, Removed packages 0, New packages 0
merged: pkg:cargo/ws@1.0.0
zlib in the merged document: 2, related: 1'
cat got; [ "$(cat got)" = "$want" ]
