#!/usr/bin/env bash
# Tool: dfimage 1.1.0 (PyPI, 2026) with docker 7.1.0 (PyPI). A stub replaces the
#   Docker client and answers with the fields of the engine's interface.
# Expected: the base image is the one that shares the most layers, and the steps
#   after it are listed.
# Seen: the first layer that ends a known image decides, so with debian:12 here an
#   image built from python:3.12 is "FROM debian:12" and has the steps of both. The
#   history is followed until a line equals the last line of the base: if the image
#   sets the same CMD as its base, nothing is listed. Output:
#     with debian:12 and python:3.12 here:
#     FROM debian:12
#     ENV PYTHON=3.12
#     CMD ["python3"]
#     COPY . /app # buildkit
#     CMD ["python3"]
#     with python:3.12 only:
#     FROM python:3.12
# Matters: the answer to "what is this built from" depends on what else was pulled,
#   and one repeated CMD hides all steps.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q docker==7.1.0 dfimage==1.1.0
cat >a.py <<'PY'
import dfimage

layers = ["sha256:1", "sha256:2", "sha256:3"]
steps = ['ADD rootfs / # buildkit', 'CMD ["bash"]', "ENV PYTHON=3.12", 'CMD ["python3"]', "COPY . /app # buildkit", 'CMD ["python3"]']
known = {"debian:12": (layers[:1], steps[:2]), "python:3.12": (layers[:2], steps[:4]), "app:1": (layers, steps)}


class Engine:
    def __init__(self, **options):
        self.api = self

    def images(self):
        return [{"Id": f"sha256:{name}", "RepoTags": [name]} for name in images]

    def inspect_image(self, name):
        return {"RootFS": {"Layers": images[name.removeprefix("sha256:")][0]}}

    def history(self, name):
        return [{"CreatedBy": step} for step in reversed(images[name][1])]


dfimage.DockerClient = Engine
for title, images in (
    ("with debian:12 and python:3.12 here:", known),
    ("with python:3.12 only:", {name: known[name] for name in ("python:3.12", "app:1")}),
):
    print(title)
    dfimage.DockerfileParser("app:1").print_commands()
PY
got=$(v/bin/python a.py)
want='with debian:12 and python:3.12 here:
FROM debian:12
ENV PYTHON=3.12
CMD ["python3"]
COPY . /app # buildkit
CMD ["python3"]
with python:3.12 only:
FROM python:3.12'
echo "$got"; [ "$got" = "$want" ]
