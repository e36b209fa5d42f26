#!/usr/bin/env bash
# Tool: podman-compose 1.6.0 with PyYAML 6.0.4 (PyPI). A stub replaces podman
#   and records the arguments.
# Expected: stop_grace_period: 1h gives the container an hour, and a value that
#   is not understood is an error.
# Seen: only minutes and seconds are read. 1h and 500ms give `podman stop`
#   without a time, so podman's ten seconds apply, and 1m1.5s is 61 seconds. No
#   message is printed.
# Matters: a service that needs an hour to write its state is killed after ten
#   seconds.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps podman-compose==1.6.0 PyYAML==6.0.4 python-dotenv==1.2.4
mkdir bin
cat >bin/podman <<SH
#!/bin/sh
case \$1 in
  --version) echo podman version 5.0.0 ;;
  ps | inspect | volume | network) echo '[]' ;;
  stop) echo "\$@" >>"$dir/stops" ;;
esac
SH
chmod +x bin/podman
export PATH=$dir/bin:$PATH
got=$(for period in 90s 1m30s 1h 500ms 1m1.5s; do
  printf 'services: {web: {image: a, stop_grace_period: %s}}\n' $period >compose.yml
  rm -f stops
  v/bin/podman-compose -p p stop >log 2>&1
  echo "$period: $(sed 's/ p_web_1//' stops)"
done)
want='90s: stop -t 90
1m30s: stop -t 90
1h: stop
500ms: stop
1m1.5s: stop -t 61'
echo "$got"; [ "$got" = "$want" ]
