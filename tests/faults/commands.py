"""Gives command lines to the server, and looks at what is left of them."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from tests.conftest import ROOT

SECONDS = 900  # after which a command hangs


class Process:
    """A command that runs."""

    def __init__(self, server, pid, out, err):
        self._server, self.pid, self._out, self._err = server, pid, out, err
        self.code = None

    @property
    def out(self):
        return self._out.read_text(errors="replace")

    @property
    def err(self):
        return self._err.read_text(errors="replace")

    @property
    def said(self):
        return f"exit code {self.code}\n{self.out}\n{self.err}"

    def wait(self, seconds=SECONDS):
        """The exit code, or None if it goes on."""
        if self.code is None:
            self.code = self._server.ask({"wait": self.pid, "seconds": seconds})
        return self.code

    def wait_for(self, happened, seconds=SECONDS):
        end = time.monotonic() + seconds
        while not happened():
            assert self.wait(0.0) is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.02)
        return self

    def send(self, number):
        os.kill(self.pid, number)
        return self

    def finish(self):
        assert self.wait() == 0, self.said
        return self


class Server:
    """Starts commands without the time that loading TensorFlow takes."""

    def __init__(self, folder):
        self._folder, self._count, self._started = folder, 0, []
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "faults" / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdout.readline() == "ready\n"

    def ask(self, request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, command, arguments, **request):
        """Starts a command; `request` holds faults, changes to watch, and the environment."""
        self._count += 1
        out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
        for file in (out, err):
            file.touch()
        asked = {"command": command, "arguments": [*map(str, arguments)], "out": str(out), "err": str(err), **request}
        process = Process(self, self.ask(asked), out, err)
        self._started.append(process)
        return process

    def run(self, command, arguments, **request):
        """Runs a command to its end, however it ends."""
        process = self.start(command, arguments, **request)
        assert process.wait() is not None, process.said
        return process

    def close(self):
        for process in self._started:
            if process.code is None and process.wait(0.0) is None:
                process.send(signal.SIGKILL)
        self._process.stdin.close()
        self._process.wait()


def left_behind(root):
    """What a command may not leave: drafts, and JSON that cannot be read."""
    wrong = []
    for path in sorted(pathlib.Path(root).rglob("*")):
        name = str(path.relative_to(root))
        if ".tmp" in path.name or "draft" in path.name or path.name.startswith(".write_test_"):
            wrong.append(f"{name} is a draft")
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".jsonl":
            for line in path.read_text().splitlines():
                json.loads(line)
    return wrong


def values(workdir, *names):
    """Values of summary.json: those of the names, or all but times."""
    records = json.loads((workdir / "summary.json").read_text())
    kept = {name: record["value"] for name, record in records.items()}
    return {name: value for name, value in kept.items() if not names or name in names}
