#!/usr/bin/env bash
# Tool: cyclonedx-editor-validator 1.0.3 (PyPI, 2026), command `cdx-ev merge`.
# Expected: merging two valid SBOMs gives an SBOM with what both contain, or a message.
# Seen: components, dependencies and compositions are merged. Services, annotations,
#   properties, external references, formulation, definitions and declarations come from the
#   first file only; those of the second one are dropped without a message, also when the
#   first one has none. The exit status is 0, and `cdx-ev validate` accepts the result. Output:
#     both: components, compositions, dependencies
#     first only: annotations, declarations, definitions, externalReferences, formulation, properties, services
#     merged into an SBOM without services: 0 services
# Matters: the SBOM of an application is merged from those of its images. Which one comes first
#   decides whether the services and the build steps (formulation) are in it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q cyclonedx-editor-validator==1.0.3
cat >a.py <<'PY'
import json, subprocess

def sbom(n):
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"timestamp": "2026-01-02T03:04:05Z",
            "component": {"type": "application", "bom-ref": f"app-{n}", "name": f"app-{n}", "version": "1"}},
        "components": [{"type": "library", "bom-ref": f"library-{n}", "name": f"library-{n}", "version": "1"}],
        "services": [{"name": f"service-{n}", "bom-ref": f"service-{n}"}],
        "dependencies": [{"ref": f"app-{n}", "dependsOn": [f"library-{n}"]}],
        "compositions": [{"aggregate": "complete", "assemblies": [f"app-{n}"]}],
        "annotations": [{"subjects": [f"library-{n}"], "annotator": {"individual": {"name": "somebody"}},
            "timestamp": "2026-01-02T03:04:05Z", "text": f"text-{n}"}],
        "properties": [{"name": f"property-{n}", "value": "v"}],
        "externalReferences": [{"type": "vcs", "url": f"https://example.org/source-{n}"}],
        "formulation": [{"workflows": [{"bom-ref": f"workflow-{n}", "uid": "u", "taskTypes": ["build"]}]}],
        "definitions": {"standards": [{"bom-ref": f"standard-{n}", "name": "n"}]},
        "declarations": {"claims": [{"bom-ref": f"claim-{n}", "target": f"library-{n}"}]},
    }

def merge(*sboms):
    for number, content in enumerate(sboms):
        json.dump(content, open(f"{number}.cdx.json", "w"))
    subprocess.run(["v/bin/cdx-ev", "merge", "0.cdx.json", "1.cdx.json", "--output", "m.cdx.json"], check=True)
    return json.load(open("m.cdx.json"))

merged = merge(sbom("one"), sbom("two"))
lists = sorted(key for key, value in merged.items() if isinstance(value, (list, dict)) and key != "metadata")
print("both:", ", ".join(key for key in lists if "-one" in str(merged[key]) and "-two" in str(merged[key])))
print("first only:", ", ".join(key for key in lists if "-two" not in str(merged[key])))
plain = sbom("one")
del plain["services"]
print("merged into an SBOM without services:", len(merge(plain, sbom("two")).get("services", [])), "services")
PY
v/bin/python a.py >got
v/bin/cdx-ev validate m.cdx.json --filename-pattern '.*' >validate.log 2>&1
want='both: components, compositions, dependencies
first only: annotations, declarations, definitions, externalReferences, formulation, properties, services
merged into an SBOM without services: 0 services'
cat got; [ "$(cat got)" = "$want" ]
