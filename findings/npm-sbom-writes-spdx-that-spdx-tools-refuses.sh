#!/usr/bin/env bash
# Tool: npm 11.19.1 (npm, 2026; the same with 12.2.2), `npm sbom --sbom-format spdx`; spdx-tools 0.8.5 (PyPI),
#   the Python library of the SPDX project, as the reader.
# Expected: the SPDX 2.3 document that npm writes is one that the library of the SPDX project reads.
# Seen: it is refused for each project, since the time of creation has milliseconds. SPDX 2.3 gives the
#   form YYYY-MM-DDThh:mm:ssZ. With the milliseconds removed, it is refused for each tree that has the
#   package string_decoder, on which readable-stream depends: npm makes the identifier of a package from
#   its name, and an identifier may have letters, digits, dots and hyphens, but no underscore. A package
#   with "license": "SEE LICENSE IN ...", the form that npm's manual gives for a licence of one's own, is
#   refused as well, as is "UNLICENSED" from the same page. In all cases npm exits with 0. Output:
#     as written: time data does not match format
#     without milliseconds: SPDXRef-Package-string_decoder-1.3.0 is an invalid identifier
#     without string_decoder: SEE LICENSE IN LICENSE.md is an unknown licence
#     with MIT for it: valid
# Matters: a collection of SBOMs that checks what it receives, as some buyers demand, takes none of npm's. The
#   refusal shows in that tool, weeks after the build that wrote the document and exited with 0.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q spdx-tools==0.8.5
mkdir tool app
npm install --silent --no-audit --no-fund --prefix tool npm@11.19.1 >npm.log
npm() { node ../tool/node_modules/npm/bin/npm-cli.js "$@"; }
cd app
sbom() { # LICENSE DEPENDENCY: writes the document of a project with that dependency
    rm -rf node_modules package-lock.json
    echo '{"name": "app", "version": "1.0.0", "license": "'"$1"'", "dependencies": {'"$2"'}}' >package.json
    npm install --silent --no-audit --no-fund >>../npm.log
    npm sbom --sbom-format spdx >../written.spdx.json
    sed 's/\("created": "[^.]*\)\.[0-9]*Z/\1Z/' ../written.spdx.json >../whole.spdx.json
}
reason() { # FILE
    if ../v/bin/pyspdxtools -i "../$1" >../log 2>&1; then echo valid; return; fi
    sed -n -e "s/.*time data .* does not match format .*/time data does not match format/p" \
        -e 's/^spdx_id must .* but is: \(.*\)/\1 is an invalid identifier/p' \
        -e 's/^Unrecognized license reference: \([^.]*\.md\)\..*/\1 is an unknown licence/p' ../log | sort -u
}
own='SEE LICENSE IN LICENSE.md'
{
    sbom "$own" '"readable-stream": "3.6.2"'
    echo "as written: $(reason written.spdx.json)"
    sbom MIT '"readable-stream": "3.6.2"'
    echo "without milliseconds: $(reason whole.spdx.json)"
    sbom "$own" '"safe-buffer": "5.2.1"'
    echo "without string_decoder: $(reason whole.spdx.json)"
    sbom MIT '"safe-buffer": "5.2.1"'
    echo "with MIT for it: $(reason whole.spdx.json)"
} >../got
want='as written: time data does not match format
without milliseconds: SPDXRef-Package-string_decoder-1.3.0 is an invalid identifier
without string_decoder: SEE LICENSE IN LICENSE.md is an unknown licence
with MIT for it: valid'
cat ../got; [ "$(cat ../got)" = "$want" ]
