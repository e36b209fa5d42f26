#!/usr/bin/env bash
# Tool: oras 0.2.43 (PyPI) and docker-parse-image 3.0.1 (npm).
# Expected: the first part of an image name is a registry if it has a dot or a
#   colon or is "localhost", as in Docker's reference grammar.
# Seen: both take localhost/app for the repository localhost/app of Docker Hub.
#   docker-parse-image reads team/web/app as a registry named "team", and a digest
#   as a tag: app@sha256:... prints as app:sha256:..., and app:1@sha256:... has
#   the tag "1@sha256:...".
# Matters: images that podman and buildah built here are named localhost/...; a
#   tool looks for them on a public server.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q oras==0.2.43
npm init -y >/dev/null
npm install --silent --ignore-scripts docker-parse-image@3.0.1
cat >a.py <<'PY'
from oras.container import Container
for name in ("localhost/app", "localhost:5000/app", "127.0.0.1/app"):
    c = Container(name)
    print("oras", name, c.registry, c.api_prefix)
PY
cat >a.mjs <<'JS'
import parse from 'docker-parse-image';
for (const name of ['localhost/app', 'localhost:5000/app', 'team/web/app', 'r.example.com/app:1@sha256:aa']) {
  const c = parse(name);
  console.log('npm', name, c.registry, c.namespace, c.repository, c.tag);
}
JS
got=$(v/bin/python a.py; node a.mjs)
want='oras localhost/app docker.io localhost/app
oras localhost:5000/app localhost:5000 app
oras 127.0.0.1/app 127.0.0.1 app
npm localhost/app null localhost app null
npm localhost:5000/app localhost:5000 null app null
npm team/web/app team web app null
npm r.example.com/app:1@sha256:aa r.example.com null app 1@sha256:aa'
echo "$got"; [ "$got" = "$want" ]
