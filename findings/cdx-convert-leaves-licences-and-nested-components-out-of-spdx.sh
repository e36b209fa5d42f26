#!/usr/bin/env bash
# Tool: cdx-convert of @cyclonedx/cdxgen 12.8.4 (npm, 2026), from CycloneDX to SPDX 3.0.1.
# Expected: packages, dependencies and licences, the parts that both formats have, are in the result, or
#   there is a message. The README lists the command as the way to get SPDX, without an exception.
# Seen: components inside a component are dropped, and so are the dependencies on them. No licence is an
#   SPDX licence: there is no LicenseExpression and no hasDeclaredLicense, the only places of SPDX 3 for
#   one; the text is in a private extension of cdxgen. The same holds for a CPE. A service becomes a package.
#   The exit status is 0, the built-in validation passes, and the message is "Successfully converted".
#   Output, for four components with licences, two of them within another one:
#     packages: api, app, curl, service
#     dependencies: app -> curl, app -> service
#     licences: 0 of 4
#     identifiers: 0 CPE
#     message: Successfully converted
# Matters: an SBOM of an image has the content of an archive or a bundled library as nested components.
#   After the conversion, a check for licences or known weaknesses passes for what it does not see.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional @cyclonedx/cdxgen@12.8.4 >npm.log
cat >bom.json <<'JSON'
{
  "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
  "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
  "metadata": {
    "timestamp": "2026-01-02T03:04:05Z",
    "component": {"type": "application", "bom-ref": "app", "name": "app", "version": "1"}
  },
  "components": [
    {
      "type": "library", "bom-ref": "api", "name": "api", "version": "1", "purl": "pkg:maven/org.example/api@1",
      "licenses": [{"expression": "MIT OR Apache-2.0"}],
      "components": [
        {
          "type": "library", "bom-ref": "shaded", "name": "shaded", "version": "2",
          "purl": "pkg:maven/org.example/shaded@2", "licenses": [{"license": {"id": "GPL-3.0-only"}}],
          "components": [
            {"type": "library", "bom-ref": "inner", "name": "inner", "version": "3", "licenses": [{"license": {"id": "ISC"}}]}
          ]
        }
      ]
    },
    {
      "type": "library", "bom-ref": "curl", "name": "curl", "version": "8.1", "licenses": [{"license": {"id": "curl"}}],
      "cpe": "cpe:2.3:a:haxx:curl:8.1:*:*:*:*:*:*:*"
    }
  ],
  "services": [{"bom-ref": "service", "name": "service"}],
  "dependencies": [
    {"ref": "app", "dependsOn": ["curl", "service", "shaded"]},
    {"ref": "api", "dependsOn": ["shaded"]},
    {"ref": "shaded", "dependsOn": ["inner"]}
  ]
}
JSON
node_modules/.bin/cdx-convert -i bom.json -o spdx.json >convert.log 2>&1
cat >a.py <<'PY'
import json

graph = json.load(open("spdx.json"))["@graph"]
names = {e["spdxId"]: e["name"] for e in graph if e["type"] == "software_Package"}
print("packages:", ", ".join(sorted(names.values())))
relations = [e for e in graph if e["type"].endswith("Relationship")]
pairs = [f"{names[e['from']]} -> {names[to]}" for e in relations if e["relationshipType"] == "dependsOn" for to in e["to"]]
print("dependencies:", ", ".join(sorted(pairs)))
licences = [e for e in graph if "icensing_" in e["type"]] + [e for e in relations if "License" in e["relationshipType"]]
print("licences:", len(licences), "of 4")
identifiers = [i for e in graph for i in e.get("externalIdentifier", []) if i["externalIdentifierType"].startswith("cpe")]
print("identifiers:", len(identifiers), "CPE")
PY
got=$(python3 a.py; echo "message: $(grep -o 'Successfully converted' convert.log)")
want='packages: api, app, curl, service
dependencies: app -> curl, app -> service
licences: 0 of 4
identifiers: 0 CPE
message: Successfully converted'
echo "$got"; [ "$got" = "$want" ]
