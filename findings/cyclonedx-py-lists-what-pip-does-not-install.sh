#!/usr/bin/env bash
# Tool: cyclonedx-bom 7.5.0 (PyPI, 2026), whose command cyclonedx-py makes SBOMs of Python projects;
#   pip 25.3 for comparison.
# Expected: the SBOM of a requirements file has what pip installs from it. A marker that is false is
#   left out or noted with the component, a constraint only restricts versions, and what is not a
#   version is not written as one: an unpinned name gets a warning and no version.
# Seen: markers are dropped, so both lines of a pair for old and new Pythons are components, and so
#   is each line of a constraints file. `==1.*` becomes the version "1.*" without a warning. Output:
#     SBOM: attrs 23.1.0, idna 2.10, idna 3.10, six 1.*, urllib3 1.26.20
#     properties: none
#     pip: idna 3.10, six 1.17.0
# Matters: an exported lock file has a marker on many lines and lists several versions. The old ones
#   are reported with vulnerabilities that no environment has, and no vulnerability matches "1.*".
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q pip==25.3
v/bin/pip install -q cyclonedx-bom==7.5.0
cat >requirements.txt <<'TXT'
-c constraints.txt
idna==2.10; python_version < "3.6"
idna==3.10; python_version >= "3.6"
six==1.*
TXT
cat >constraints.txt <<'TXT'
attrs==23.1.0
urllib3==1.26.20
TXT
echo 'six<=1.17.0' >only-pip.txt
v/bin/cyclonedx-py requirements requirements.txt >sbom.json 2>warnings
if grep six warnings; then exit 1; fi
v/bin/pip install -q --dry-run --ignore-installed --report pip.json -c only-pip.txt -r requirements.txt
cat >a.py <<'PY'
import json

components = json.load(open("sbom.json"))["components"]
listed = sorted(f"{component['name']} {component['version']}" for component in components if "version" in component)
print("SBOM:", ", ".join(listed))
print("properties:", [component["properties"] for component in components if "properties" in component] or "none")
installed = [item["metadata"] for item in json.load(open("pip.json"))["install"]]
print("pip:", ", ".join(sorted(f"{item['name']} {item['version']}" for item in installed)))
PY
got=$(v/bin/python a.py)
want='SBOM: attrs 23.1.0, idna 2.10, idna 3.10, six 1.*, urllib3 1.26.20
properties: none
pip: idna 3.10, six 1.17.0'
echo "$got"; [ "$got" = "$want" ]
