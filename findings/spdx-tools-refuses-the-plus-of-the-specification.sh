#!/usr/bin/env bash
# Tool: spdx-tools 0.8.5 and license-expression 30.4.4 (PyPI); packaging 26.4 (PyPI) for comparison.
# Expected: the two libraries of SPDX expressions accept what the specification gives as examples of a simple licence
#   expression (annex D.3 of SPDX 2.3): CDDL-1.0, CDDL-1.0+, LicenseRef-23 and DocumentRef-...:LicenseRef-....
# Seen: a licence with a plus is unknown, unless the licence list has the plus in the name, as for GPL-2.0+. So a valid
#   document is refused. validate() of license-expression also refuses each LicenseRef. packaging accepts the plus.
#   Output, 1 for accepted:
#     CDDL-1.0: spdx-tools 1, license-expression 1, packaging 1
#     CDDL-1.0+: spdx-tools 0, license-expression 0, packaging 1
#     Apache-2.0+: spdx-tools 0, license-expression 0, packaging 1
#     GPL-2.0+: spdx-tools 1, license-expression 1, packaging 1
#     LicenseRef-23: spdx-tools 1, license-expression 0, packaging 1
# Matters: a wheel may have the licence "Apache-2.0+", and the SBOM of an image with it does not pass the validator.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check spdx-tools==0.8.5 license-expression==30.4.4 packaging==26.4
cat >expressions.txt <<'PY'
from datetime import datetime

from license_expression import get_spdx_licensing
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from spdx_tools.common.spdx_licensing import spdx_licensing
from spdx_tools.spdx.model import (
    Actor, ActorType, CreationInfo, Document, ExtractedLicensingInfo, Package, Relationship, RelationshipType,
    SpdxNoAssertion,
)
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def by_spdx_tools(expression):
    tool = Actor(ActorType.TOOL, "tool")
    info = CreationInfo(
        "SPDX-2.3", "SPDXRef-DOCUMENT", "image", "https://example.com/image", [tool], datetime(2026, 1, 1)
    )
    package = Package(
        "SPDXRef-package", "package", SpdxNoAssertion(), files_analyzed=False,
        license_concluded=spdx_licensing.parse(expression),
    )
    document = Document(
        info, packages=[package],
        extracted_licensing_info=[ExtractedLicensingInfo("LicenseRef-23", "A text.")],
        relationships=[Relationship("SPDXRef-DOCUMENT", RelationshipType.DESCRIBES, "SPDXRef-package")],
    )
    return not validate_full_spdx_document(document)


def by_packaging(expression):
    try:
        return canonicalize_license_expression(expression) == expression
    except InvalidLicenseExpression:
        return False


licensing = get_spdx_licensing()
for expression in ("CDDL-1.0", "CDDL-1.0+", "Apache-2.0+", "GPL-2.0+", "LicenseRef-23"):
    print(
        f"{expression}: spdx-tools {by_spdx_tools(expression):d}, "
        f"license-expression {not licensing.validate(expression).errors:d}, packaging {by_packaging(expression):d}"
    )
PY
got=$(venv/bin/python expressions.txt)
want='CDDL-1.0: spdx-tools 1, license-expression 1, packaging 1
CDDL-1.0+: spdx-tools 0, license-expression 0, packaging 1
Apache-2.0+: spdx-tools 0, license-expression 0, packaging 1
GPL-2.0+: spdx-tools 1, license-expression 1, packaging 1
LicenseRef-23: spdx-tools 1, license-expression 0, packaging 1'
echo "$got"; [ "$got" = "$want" ]
