#!/usr/bin/env bash
# Tool: lib4sbom 0.10.4 (PyPI), from SPDX 2.3 to CycloneDX.
# Expected: "libc6 DEPENDENCY_OF curl" (how Syft writes it) becomes "curl depends
#   on libc6", and a license expression is kept or stays a text.
# Seen: each relation becomes "first depends on second", so DEPENDENCY_OF,
#   BUILD_TOOL_OF and CONTAINED_BY are turned round. "MIT OR Apache-2.0" and any
#   other expression with OR or AND is UNKNOWN and missing in the output; single
#   licenses, also WITH an exception, are kept.
# Matters: the question which packages a library reaches gets the opposite answer,
#   and most Rust crates have no license.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q lib4sbom==0.10.4
cat >a.py <<'PY'
import json
from lib4sbom.generator import SBOMGenerator
from lib4sbom.parser import SBOMParser
licenses = {
    "curl": "MIT",
    "libc6": "MIT OR Apache-2.0",
    "cmake": "MIT AND BSD-3-Clause",
    "gcc": "GPL-3.0-only WITH GCC-exception-3.1",
}
relations = [("DOCUMENT", "DESCRIBES", "curl"), ("libc6", "DEPENDENCY_OF", "curl"), ("cmake", "BUILD_TOOL_OF", "curl")]
document = {
    "spdxVersion": "SPDX-2.3",
    "dataLicense": "CC0-1.0",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": "image",
    "documentNamespace": "https://example.com/image",
    "creationInfo": {"created": "2026-01-02T03:04:05Z", "creators": ["Tool: example-1"]},
    "packages": [
        {
            "SPDXID": f"SPDXRef-{name}",
            "name": name,
            "versionInfo": "1",
            "downloadLocation": "NOASSERTION",
            "licenseConcluded": text,
            "licenseDeclared": text,
        }
        for name, text in licenses.items()
    ],
    "relationships": [
        {"spdxElementId": f"SPDXRef-{a}", "relationshipType": kind, "relatedSpdxElement": f"SPDXRef-{b}"}
        for a, kind, b in relations
    ],
}
json.dump(document, open("in.spdx.json", "w"))
parser = SBOMParser()
parser.parse_file("in.spdx.json")
SBOMGenerator(sbom_type="cyclonedx", format="json").generate("image", parser.get_sbom(), filename="out.json")
result = json.load(open("out.json"))
for part in result["components"]:
    license = part.get("licenses", [{}])[0].get("license", {})
    print(part["name"], license.get("id") or license.get("name"))
for part in result["dependencies"]:
    print(part["ref"], "depends on", *part["dependsOn"])
PY
got=$(v/bin/python a.py)
want='curl MIT
libc6 None
cmake None
gcc GPL-3.0-only WITH GCC-exception-3.1
CDXRef-DOCUMENT depends on SPDXRef-curl
SPDXRef-libc6 depends on SPDXRef-curl
SPDXRef-cmake depends on SPDXRef-curl'
echo "$got"; [ "$got" = "$want" ]
