#!/usr/bin/env bash
# Tool: python-on-whales 0.81.0 (PyPI). A stub replaces docker and records the
#   arguments.
# Expected: container.stop(name, time=60), whose annotation is int or timedelta,
#   gives `docker stop --time 60`, and timedeltas arrive in units that the flag
#   takes.
# Seen: a number is dropped. A timedelta becomes "--time 60.0s", but the flag is a
#   whole number of seconds. restart() passes the number on. A health_interval of
#   500 ms becomes 0s, which means the default of 30 s; 1.5 s becomes 1s.
# Matters: a database that asks for a minute to stop is killed after ten seconds.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q python-on-whales==0.81.0
cat >stub <<'SH'
#!/bin/sh
case "$*" in *inspect*) printf '[{"Id": "sha256:%064d", "Name": "/name"}]' 0; exit;; esac
echo "$*" >>log
case "$*" in *run*) printf '%064d' 0;; esac
SH
chmod +x stub
cat >a.py <<'PY'
import os
from datetime import timedelta
from python_on_whales import DockerClient
docker = DockerClient(client_call=[os.path.abspath("stub")])
docker.container.stop("name", time=60)
docker.container.stop("name", time=timedelta(minutes=1))
docker.run("image", detach=True, health_interval=timedelta(milliseconds=500))
docker.run("image", detach=True, health_interval=timedelta(milliseconds=1500))
docker.container.restart("name", time=60)
PY
v/bin/python a.py
cat >want <<'TXT'
container stop name
container stop --time 60.0s name
container run --detach --health-interval 0s image
container run --detach --health-interval 1s image
restart --time 60 name
TXT
cat log; cmp log want
