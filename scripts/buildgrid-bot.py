#!/usr/bin/env python3
"""A slot of a worker for BuildGrid, which has none: takes an action at a time and runs it with `buildscope runner`.

Usage: buildgrid-bot.py BUILDSCOPE HOST:PORT INSTANCE NAME     (scripts/buildgrid starts it; it needs the packages of BuildGrid)
The session ends with the process. Properties of the worker: PROPERTIES="NAME=VALUE ...".
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

import grpc
from buildgrid._protos.build.bazel.remote.execution.v2.remote_execution_pb2 import Action, ActionResult
from buildgrid._protos.google.devtools.remoteworkers.v1test2 import bots_pb2, bots_pb2_grpc, worker_pb2
from buildgrid._protos.google.rpc import code_pb2

# How long a call waits for an action, how often the server hears of a running one, and the pause after a failed call, in seconds.
WAIT, HEARTBEAT, PAUSE = 30, 1, 0.5


class Bot:
    def __init__(self, program, server, instance, name):
        self.program, self.server, self.instance, self.name = program, server, instance, name
        self.stub = bots_pb2_grpc.BotsStub(grpc.insecure_channel(server))
        self.session = None

    def open(self):
        device = worker_pb2.Device(handle=self.name)
        for pair in os.environ.get("PROPERTIES", "").split():
            key, value = pair.split("=", 1)
            device.properties.add(key=key, value=value)
        session = bots_pb2.BotSession(bot_id=self.name, status=bots_pb2.OK, worker=worker_pb2.Worker(devices=[device]))
        request = bots_pb2.CreateBotSessionRequest(parent=self.instance, bot_session=session)
        self.session = self.stub.CreateBotSession(request, timeout=WAIT)

    def update(self):
        request = bots_pb2.UpdateBotSessionRequest(name=self.session.name, bot_session=self.session)
        self.session = self.stub.UpdateBotSession(request, timeout=WAIT)

    def lease(self):
        """The action that the server wants to be run."""
        return next((lease for lease in self.session.leases if lease.state == bots_pb2.ACTIVE), None)

    def run(self, lease):
        """Runs an action, and tells the server of its end. It is stopped when the server drops it."""
        action = Action()
        lease.payload.Unpack(action)
        with tempfile.TemporaryDirectory() as folder:
            given, result = os.path.join(folder, "action"), os.path.join(folder, "result")
            with open(given, "wb") as file:
                file.write(action.SerializeToString())
            command = [self.program, "runner", f"--remote=grpc://{self.server}", f"--instance={self.instance}"]
            runner = subprocess.Popen(command + [f"--action={given}", f"--action-result={result}"])
            try:
                while not has_ended(runner):
                    if not self.is_wanted(lease.id):
                        return
            finally:
                # It kills its step.
                runner.send_signal(signal.SIGINT)
                runner.wait()
            self.complete(lease.id, result)

    def is_wanted(self, lease):
        """Whether the server still wants a running action. A server that does not answer may come back."""
        try:
            self.update()
        except grpc.RpcError as error:
            # BuildGrid has closed the session, and given the action to another bot.
            return error.code() != grpc.StatusCode.INVALID_ARGUMENT
        return any(one.id == lease for one in self.session.leases)

    def complete(self, name, result):
        lease = next(lease for lease in self.session.leases if lease.id == name)
        outcome = ActionResult()
        try:
            with open(result, "rb") as file:
                outcome.ParseFromString(file.read())
            lease.result.Pack(outcome)
        except FileNotFoundError:
            lease.status.code, lease.status.message = code_pb2.INTERNAL, "the runner left no result"
        lease.state = bots_pb2.COMPLETED
        self.retried(self.update)

    def retried(self, call):
        while True:
            try:
                return call()
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                    self.session = None
                    return None
                if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                    time.sleep(PAUSE)

    def work(self):
        while True:
            self.retried(self.update if self.session else self.open)
            if self.session and (lease := self.lease()):
                self.run(lease)


def has_ended(runner):
    try:
        runner.wait(HEARTBEAT)
        return True
    except subprocess.TimeoutExpired:
        return False


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    bot = Bot(*sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    bot.work()


if __name__ == "__main__":
    main()
