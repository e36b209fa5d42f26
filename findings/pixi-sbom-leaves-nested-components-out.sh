#!/usr/bin/env bash
# Tool: pixi-sbom 1.15.0 (PyPI, 2026), whose --from-sbom reads an SBOM for reports, policies and
#   merging.
# Expected: each component of a CycloneDX file is read, also those inside another component, and
#   two components with one name and different groups stay two. What is not read is named.
# Seen: nested components are not read, so no report or policy sees them. A component without a
#   purl gets its name and version as reference and as "purl", without the group: two of them have
#   one reference, which CycloneDX forbids, and dependencies are added to the wrong one. Exit status
#   0, no warning. The file has app with inner in it, and core of two groups, of which only the
#   second one needs zlib and only the first one is needed by the root. Output:
#     components: app core core zlib
#     purls: core@1 core@1 pkg:generic/app@1 pkg:generic/zlib@1.2.11
#     root: core@1 core@1 pkg:generic/app@1
#     pkg:generic/app@1: nothing
#     core@1: nothing
#     core@1: pkg:generic/zlib@1.2.11
# Matters: bundled libraries are nested components in the SBOMs of images, archives and
#   applications. A build that is checked this way passes although one of them is forbidden.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q pixi-sbom==1.15.0
cat >in.json <<'JSON'
{
  "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
  "metadata": {"component": {"type": "container", "name": "image", "version": "1", "bom-ref": "root"}},
  "components": [
    {"type": "library", "name": "app", "version": "1", "bom-ref": "1", "purl": "pkg:generic/app@1", "components": [
      {"type": "library", "name": "inner", "version": "1.0.0", "bom-ref": "2", "purl": "pkg:npm/inner@1.0.0"}]},
    {"type": "library", "group": "acme", "name": "core", "version": "1", "bom-ref": "3"},
    {"type": "library", "group": "other", "name": "core", "version": "1", "bom-ref": "4"},
    {"type": "library", "name": "zlib", "version": "1.2.11", "bom-ref": "5", "purl": "pkg:generic/zlib@1.2.11"}
  ],
  "dependencies": [
    {"ref": "root", "dependsOn": ["1", "3"]}, {"ref": "1", "dependsOn": ["2"]}, {"ref": "4", "dependsOn": ["5"]}
  ]
}
JSON
v/bin/pixi-sbom --from-sbom in.json --output out.json >log 2>&1
if grep -i 'warn' log; then exit 1; fi
cat >a.py <<'PY'
import json

sbom = json.load(open("out.json"))
print("components:", *sorted(component["name"] for component in sbom["components"]))
print("purls:", *sorted(component["purl"] for component in sbom["components"]))
for entry in sbom["dependencies"]:
    if "zlib" not in entry["ref"]:
        print(f"{entry['ref']}:", *sorted(entry.get("dependsOn", [])) or ["nothing"])
PY
got=$(python3 a.py)
want='components: app core core zlib
purls: core@1 core@1 pkg:generic/app@1 pkg:generic/zlib@1.2.11
root: core@1 core@1 pkg:generic/app@1
pkg:generic/app@1: nothing
core@1: nothing
core@1: pkg:generic/zlib@1.2.11'
echo "$got"; [ "$got" = "$want" ]
