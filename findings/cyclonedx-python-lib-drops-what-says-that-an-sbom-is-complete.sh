#!/usr/bin/env bash
# Tool: cyclonedx-python-lib 11.12.0 (PyPI), the library of the CycloneDX project.
# Expected: an SBOM of version 1.6 that is read with Bom.from_json() and written with
#   the writer for 1.6 keeps its parts, or there is a warning.
# Seen: compositions (is the list complete?), annotations, formulation (how it was
#   built), declarations, the model card of a component and "provides" of a dependency
#   are gone. The input is valid by the library's own strict validator, the output as
#   well, and no warning is shown.
#   Output:
#     the input is valid: True
#     lost: annotations compositions declarations formulation
#     lost in a component: modelCard
#     lost in a dependency: provides
#     warnings: 0
# Matters: a step that only adds one property to an SBOM removes the statement that it
#   is incomplete, and the record of the build.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q 'cyclonedx-python-lib[json-validation]==11.12.0'
cat >a.py <<'PY'
import json, warnings
from cyclonedx.model.bom import Bom
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

sbom = {
    "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
    "components": [
        {"type": "library", "bom-ref": "tls", "name": "tls"},
        {"type": "cryptographic-asset", "bom-ref": "aes", "name": "aes", "cryptoProperties": {"assetType": "algorithm"}},
        {"type": "machine-learning-model", "bom-ref": "model", "name": "model", "modelCard": {"modelParameters": {"task": "sort"}}},
    ],
    "dependencies": [{"ref": "tls", "dependsOn": ["model"], "provides": ["aes"]}],
    "compositions": [{"aggregate": "incomplete", "assemblies": ["tls"]}],
    "annotations": [{"subjects": ["tls"], "annotator": {"organization": {"name": "team"}}, "timestamp": "2026-01-02T03:04:05Z", "text": "checked"}],
    "formulation": [{"workflows": [{"bom-ref": "build", "uid": "1", "taskTypes": ["build"]}]}],
    "declarations": {"affirmation": {"statement": "all of it"}},
}
print("the input is valid:", JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(sbom)) is None)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    copy = json.loads(JsonV1Dot6(Bom.from_json(sbom)).output_as_string())
assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(copy)) is None


def lost(before, after):
    return " ".join(sorted(set(before) - set(after)))


def named(sbom, part, key, name):
    return next(entry for entry in sbom[part] if entry[key] == name)


print("lost:", lost(sbom, copy))
for part, key, name in (("components", "bom-ref", "model"), ("dependencies", "ref", "tls")):
    one = {"components": "component", "dependencies": "dependency"}[part]
    print(f"lost in a {one}:", lost(named(sbom, part, key, name), named(copy, part, key, name)))
print("warnings:", len(seen))
PY
got=$(v/bin/python a.py)
want='the input is valid: True
lost: annotations compositions declarations formulation
lost in a component: modelCard
lost in a dependency: provides
warnings: 0'
echo "$got"; [ "$got" = "$want" ]
