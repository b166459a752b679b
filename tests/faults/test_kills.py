"""kill -9 at random moments: the same command goes on, loses nothing else, and ends as if nothing had been.

A kill comes before a change of the command's folder that is drawn at random, up to 30 ms after one, or after a random
time. The process is killed by itself or by this one; no handler is called either way.
"""

import json
import os
import random
import signal
import time

import pytest

from tests.faults.commands import left_behind, values
from tests.faults.injected import drawn

SEED = int(os.environ.get("SIMSIAM_TF_FAULTS_SEED", "0"))
TIMES = {"images_per_second", "wall_seconds", "input_wait_fraction"}


def train_flags(photos, workdir):
    return [
        *("--dataset=folder", f"--data_dir={photos}", "--image_size=16", "--arch=resnet18", "--width=0.0625"),
        *("--projector_layers=2", "--projector_dim=16", "--predictor_dim=8", "--global_batch_size=8", "--epochs=3"),
        *("--save_every_steps=1", "--deterministic", "--knn_every_epochs=0", "--verbosity=quiet"),
        f"--workdir={workdir}",
    ]


class Killed:
    """Kills a command again and again until it ends by itself.

    Args:
        server: what starts commands.
        command: the name of the command.
        arguments: its flags.
        watched: the folder whose changes are counted.
    """

    def __init__(self, server, command, arguments, watched):
        self.server, self.command, self.arguments, self.watched = server, command, arguments, watched

    def undisturbed(self, kept):
        """Runs it without a fault, and notes its time and the number of its changes."""
        start = time.monotonic()
        counting = {"watched": str(self.watched), "kept": str(kept)}
        done = self.server.run(self.command, self.arguments, changes=counting).finish()
        self.changes, self.seconds = int(kept.read_text()), time.monotonic() - start
        return done

    def kill(self, number, changes, seconds):
        """Runs it until it is killed or ends; whether it was killed."""
        chance = random.Random(f"{self.command} {self.watched.name} {number} {SEED}")
        if chance.random() < 0.7:
            fault = {"watched": str(self.watched), **drawn(changes, chance.random())}
            process = self.server.run(self.command, self.arguments, changes=fault)
        else:
            process = self.server.start(self.command, self.arguments)
            if process.wait(chance.uniform(0.0, seconds)) is None:
                process.send(signal.SIGKILL)
                process.wait()
        assert process.code in (0, -9), process.said
        return process.code == -9

    def kill_times(self, count, changes, seconds, after=lambda: None):
        """Kills it so many times, each time where the last kill left it, or until it ends; the number of kills."""
        kills = 0
        while kills < count and self.kill(kills, changes, seconds):
            kills += 1
            after()
        return kills


def readable(workdir):
    """All JSON that is there is whole, but for the last line of metrics.jsonl, whose end a kill may cut off."""
    for path in workdir.rglob("*.json"):
        json.loads(path.read_text())
    for path in workdir.rglob("*.jsonl"):
        for line in path.read_text().splitlines(keepends=True):
            assert not line.endswith("\n") or json.loads(line)


def lines(workdir):
    found = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in ("epoch", "step", "loss") if name in line} for line in found]


@pytest.fixture(scope="session")
def whole(server, photos, tmp_path_factory):
    """An undisturbed run, the number of its changes, and its time."""
    folder = tmp_path_factory.mktemp("whole")
    killed = Killed(server, "train", train_flags(photos, folder / "run"), folder / "run")
    killed.undisturbed(folder / "count")
    return folder / "run", killed


def kill_train(server, photos, whole, folder, count):
    workdir, (expected, model) = folder / "run", whole
    kills = number = 0
    while kills < count:
        run = workdir.with_name(f"run{number}")
        killed = Killed(server, "train", train_flags(photos, run), run)
        # A run that was killed has fewer changes left each time.
        more = killed.kill_times(min(4, count - kills), model.changes, model.seconds, lambda run=run: readable(run))
        kills, number = kills + more, number + 1
        server.run(killed.command, killed.arguments).finish()
        assert values(run, "weights_sha256") == values(expected, "weights_sha256")
        assert {n: v for n, v in values(run).items() if n not in TIMES} == {
            n: v for n, v in values(expected).items() if n not in TIMES
        }
        assert lines(run) == lines(expected)
        assert left_behind(run) == []
        assert sorted(p.name for p in (run / "checkpoints").iterdir()) == sorted(
            p.name for p in (expected / "checkpoints").iterdir()
        )
        print(f"train: {kills} kills, {number} runs, bits equal", flush=True)


@pytest.mark.slow
def test_train_killed_twice(server, photos, whole, tmp_path):
    kill_train(server, photos, whole, tmp_path, 2)


@pytest.mark.faults
def test_train_killed_twenty_times(server, photos, whole, tmp_path):
    kill_train(server, photos, whole, tmp_path, 20)


@pytest.mark.slow
def test_prepare_killed_five_times(server, photos, tmp_path):
    def flags(out):
        return ["--dataset=folder", f"--data_dir={photos}", f"--out={out}", "--shard_images=3", "--index=rebuild"]

    Killed(server, "prepare", flags(tmp_path / "whole"), tmp_path / "whole").undisturbed(tmp_path / "count")
    changes = int((tmp_path / "count").read_text())
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    for number in range(5):
        out = tmp_path / f"killed{number}"
        killed = Killed(server, "prepare", flags(out), out)
        fault = {"watched": str(out), **drawn(changes, f"prepare {number} {SEED}")}
        assert server.run("prepare", killed.arguments, changes=fault).code in (0, -9)
        readable(out)
        server.run("prepare", killed.arguments).finish()
        assert left_behind(out) == []
        assert sorted(path.name for path in out.iterdir()) == names
        for name in names:
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


EVALUATIONS = {
    "probe": ["--protocol=linear", "--probe=cached", "--probe_epochs=3"],
    "finetune": ["--protocol=finetune", "--label_fraction=1", "--finetune_epochs=2", "--finetune_batch_size=8"],
    "embed": ["--protocol=embed"],
    "export": ["--protocol=export"],
}
FOLDERS = {"probe": ("probes", "features"), "finetune": ("finetune",), "embed": ("embeddings",), "export": ("export",)}


def contents(workdir, folders):
    """The files of a protocol, with the bytes of those that have no time or number of the machine in them."""
    found = {path.relative_to(workdir): path for name in folders for path in (workdir / name).rglob("*")}
    fixed = {".npy", ".csv", ".tsv", ".txt", ".png"}
    return {str(name): path.read_bytes() if path.suffix in fixed else b"" for name, path in found.items()}


@pytest.mark.faults
@pytest.mark.parametrize("protocol", EVALUATIONS)
def test_an_evaluation_killed_five_times(server, whole, tmp_path, protocol):
    import shutil

    flags = [*EVALUATIONS[protocol], "--verbosity=quiet"]
    run = tmp_path / "whole"
    shutil.copytree(whole[0], run)
    undisturbed = Killed(server, "evaluate", [*flags, f"--workdir={run}"], run)
    undisturbed.undisturbed(tmp_path / "count")
    kills = number = 0
    while kills < 5:
        killed_run = tmp_path / f"killed{number}"
        shutil.copytree(whole[0], killed_run)
        killed = Killed(server, "evaluate", [*flags, f"--workdir={killed_run}"], killed_run)
        more = killed.kill_times(1, undisturbed.changes, undisturbed.seconds, lambda run=killed_run: readable(run))
        kills, number = kills + more, number + 1
        again = server.run("evaluate", killed.arguments)
        # An embedding that was killed after its last change is there, and is not written a second time.
        assert again.code == 0 or "--out exists and is not overwritten" in again.err, again.said
        assert contents(killed_run, FOLDERS[protocol]).keys() == contents(run, FOLDERS[protocol]).keys()
        assert left_behind(killed_run) == []
        if protocol in ("probe", "finetune"):
            assert values(killed_run) == values(run)
        if protocol == "embed":
            assert contents(killed_run, FOLDERS[protocol]) == contents(run, FOLDERS[protocol])
        print(f"{protocol}: {kills} kills", flush=True)
