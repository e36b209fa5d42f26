#!/usr/bin/env bash
# Tool: pycomposefile 0.0.34 (PyPI).
# Expected: the short forms of volumes and ports mean what the Compose
#   specification says, or are refused; $$HOME is the text $HOME everywhere.
# Seen: "./a:/b:ro" is not read-only. "9000-9001:9000-9001" is the one container
#   port 9000, published nowhere; "8080-8090:80" is the container port 8080. The
#   protocol of "53:53/udp" is "/udp". In a command $$HOME is expanded to the home
#   of the reader, in environment it is not. One form of a default in the
#   specification made the reader run without end; it is not in this script.
# Matters: a deployment made from the file mounts writable and publishes other
#   ports, without an error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps pycomposefile==0.0.34 PyYAML==6.0.4
cat >a.py <<'PY'
import os, yaml
from pycomposefile import ComposeFile
os.environ["HOME"] = "/home/reader"
text = """
services:
  web:
    image: app
    command: echo $$HOME
    environment: {PLACE: $$HOME}
    volumes: ["./a:/b:ro"]
    ports: ["8080:80", "53:53/udp", "9000-9001:9000-9001", "8080-8090:80"]
"""
web = ComposeFile(yaml.safe_load(text)).services["web"]
print("command", *web.command)
print("environment", web.environment["PLACE"])
for volume in web.volumes:
    print("volume", volume.source, volume.target, volume.read_only)
for port in web.ports:
    print("port", port.published, port.target, port.protocol)
PY
got=$(v/bin/python a.py)
want='command echo /home/reader
environment $HOME
volume ./a /b None
port 8080 80 tcp
port 53 53 /udp
port None 9000 tcp
port None 8080 tcp'
echo "$got"; [ "$got" = "$want" ]
