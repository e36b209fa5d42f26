#!/usr/bin/env bash
# Tool: @appthreat/cdx-proto 2.0.1 (npm, 2026), which converts CycloneDX SBOMs between protobuf
#   and JSON; lib4sbom 0.10.4 (PyPI) as the reader.
# Expected: encodeBomJson() of a protobuf SBOM writes CycloneDX JSON. It translates enumerations
#   (`library`, `SHA-256`), `bom-ref` and `bomFormat`, so also the dependency graph.
# Seen: the graph keeps the names of the protobuf schema: `dependencies` in a dependency where
#   the JSON schema has `dependsOn`. The reader takes each package for one without
#   dependencies, without a warning. In the other direction a JSON SBOM is an error, and with
#   ignoreUnknownFields, which newer SBOMs need, the edges are dropped silently. Output:
#     JSON of a protobuf SBOM: {"ref":"app","dependencies":[{"ref":"libc6"}]}
#     JSON to protobuf: key "dependsOn" is unknown
#     JSON to protobuf, ignoring unknown fields: 0 edges
#     lib4sbom, protobuf SBOM as JSON: 2 packages, 0 relations
#     lib4sbom, with dependsOn: 2 packages, 1 relation
# Matters: "which images contain libc6 through curl?" is answered with "none" after an SBOM
#   passed through the binary form. All packages are there, so the file looks whole.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund @appthreat/cdx-proto@2.0.1 >npm.log
python3 -m venv v
v/bin/pip install -q lib4sbom==0.10.4
cat >a.mjs <<'JS'
import fs from 'node:fs';
import { decodeBomBinary, encodeBomBinary, encodeBomJson, parseBomJson } from '@appthreat/cdx-proto';

const sbom = (dependencies) => ({
  bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, dependencies,
  components: [
    { type: 'application', 'bom-ref': 'app', name: 'app', version: '1' },
    { type: 'library', 'bom-ref': 'libc6', name: 'libc6', version: '2.36', hashes: [{ alg: 'SHA-1', content: '00'.repeat(20) }] },
  ],
});
// The fields of the protobuf schema, as a program in another language would have written them
const binary = encodeBomBinary(parseBomJson(sbom([{ ref: 'app', dependencies: [{ ref: 'libc6' }] }])));
const json = encodeBomJson(decodeBomBinary('1.6', binary));
fs.writeFileSync('sbom.json', JSON.stringify(json));
console.log('JSON of a protobuf SBOM:', JSON.stringify(json.dependencies[0]));
const valid = sbom([{ ref: 'app', dependsOn: ['libc6'] }, { ref: 'libc6' }]);
try {
  parseBomJson(valid);
} catch (error) {
  console.log('JSON to protobuf:', error.message.split(': ')[1]);
}
fs.writeFileSync('valid.json', JSON.stringify(valid));
const read = parseBomJson(valid, { ignoreUnknownFields: true });
const edges = read.dependencies.flatMap((dependency) => dependency.dependencies);
console.log('JSON to protobuf, ignoring unknown fields:', edges.length, 'edges');
JS
cat >a.py <<'PY'
from lib4sbom.parser import SBOMParser

for name, path in (("protobuf SBOM as JSON", "sbom.json"), ("with dependsOn", "valid.json")):
    parser = SBOMParser()
    parser.parse_file(path)
    relations = len(parser.get_relationships())
    print(f"lib4sbom, {name}: {len(parser.get_packages())} packages, {relations} relation{'s' * (relations != 1)}")
PY
got=$(node a.mjs; v/bin/python a.py)
want='JSON of a protobuf SBOM: {"ref":"app","dependencies":[{"ref":"libc6"}]}
JSON to protobuf: key "dependsOn" is unknown
JSON to protobuf, ignoring unknown fields: 0 edges
lib4sbom, protobuf SBOM as JSON: 2 packages, 0 relations
lib4sbom, with dependsOn: 2 packages, 1 relation'
echo "$got"; [ "$got" = "$want" ]
