#!/usr/bin/env bash
# Tool: spdx-tools 0.8.5 (PyPI), the Python library of the SPDX project.
# Expected: the time to validate an SBOM grows with the number of its packages, as the
#   time to parse it does. write_file() and pyspdxtools validate by default.
# Seen: twice the packages take twice the work to parse and four times the work to
#   validate: for each relationship, the list of all ids in the document is made again.
#   Counted are calls of Python functions, which no load on the machine changes. Output:
#     parse: 400 packages 1.9 times the calls of 200, 800 packages 2.0 times those of 400
#     validate: 400 packages 3.8 times the calls of 200, 800 packages 3.9 times those of 400
#   In time, when this was written: 0.09, 0.34, 1.4 and 6.0 s for 250, 500, 1000 and
#   2000 packages with one relationship each.
# Matters: an SBOM of an image with 20,000 files and packages takes ten minutes to
#   validate, where a test with 200 takes less than a tenth of a second.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q spdx-tools==0.8.5
cat >a.py <<'PY'
import cProfile, json
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def sbom(count):
    packages = [{"SPDXID": f"SPDXRef-{n}", "name": f"package{n}", "versionInfo": "1", "downloadLocation": "NOASSERTION",
                 "filesAnalyzed": False} for n in range(count)]
    return {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "image", "dataLicense": "CC0-1.0",
            "documentNamespace": "https://example.org/image",
            "creationInfo": {"created": "2026-01-02T03:04:05Z", "creators": ["Tool: example"]}, "packages": packages,
            "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                               "relatedSpdxElement": package["SPDXID"]} for package in packages]}


def calls(function, argument):
    profile = cProfile.Profile()
    result = profile.runcall(function, argument)
    return sum(entry.callcount for entry in profile.getstats()), result


parse, validate = [], []
for count in (200, 400, 800):
    number, document = calls(JsonLikeDictParser().parse, sbom(count))
    parse.append(number)
    number, messages = calls(validate_full_spdx_document, document)
    validate.append(number)
    assert messages == [], messages
for name, numbers in (("parse", parse), ("validate", validate)):
    first, second = numbers[1] / numbers[0], numbers[2] / numbers[1]
    print(f"{name}: 400 packages {first:.1f} times the calls of 200, 800 packages {second:.1f} times those of 400")
PY
got=$(v/bin/python a.py)
want='parse: 400 packages 1.9 times the calls of 200, 800 packages 2.0 times those of 400
validate: 400 packages 3.8 times the calls of 200, 800 packages 3.9 times those of 400'
echo "$got"; [ "$got" = "$want" ]
