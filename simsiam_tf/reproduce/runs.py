"""The runs of an experiment: what is missing is run, what was interrupted goes on, what is done is left as it is."""

import dataclasses
import hashlib
import json
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from simsiam_tf.config import Config
from simsiam_tf.reproduce.experiments import Row
from simsiam_tf.reproduce.verdicts import Outcome
from simsiam_tf.settings import UsageError
from simsiam_tf.stopping import Stopped, StopSignals
from simsiam_tf.workdir import Workdir, record, write_json

_ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = _ROOT / "flags" / "recipes"
_DIVERGED = 3  # exit code of train.py


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of train.py.

    Attributes:
        arguments: its flags, but for the workdir.
        config: what they ask for.
        workdir: of the run.
    """

    arguments: tuple[str, ...]
    config: Config
    workdir: Workdir

    @property
    def diverged_path(self) -> pathlib.Path:
        """Says that the loss became no number, so that the run is not tried again."""
        return self.workdir.root / "diverged.json"

    @property
    def is_done(self) -> bool:
        return self.workdir.is_finished() or self.diverged_path.exists()

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(_ROOT / "train.py"), *self.arguments, f"--workdir={self.workdir.root}"]


def plan(
    rows: Sequence[Row],
    seeds: Callable[[Row], Sequence[int]],
    size: str,
    extra: Sequence[str],
    root: pathlib.Path,
    config_of: Callable[[Sequence[str]], Config],
) -> dict[str, list[Run]]:
    """The runs of each row, by recipe; rows whose settings come to the same share them.

    Args:
        rows: of an experiment.
        seeds: of a row.
        size: stem of the size's flagfile.
        extra: further flags of train.py.
        root: the reproduction's folder.
        config_of: from train.py's flags to what they ask for.
    """  # fmt: skip
    planned: dict[str, list[Run]] = {}
    for row in rows:
        files = (RECIPES / "paper" / f"{row.recipe}.flags", RECIPES / "size" / f"{size}.flags")
        missing = [str(file) for file in files if not file.exists()]
        if missing:
            raise UsageError(f"Reproducing needs a checkout of the project, with its recipes. Received: {missing[0]}.")
        planned[row.recipe] = []
        for seed in seeds(row):
            arguments = (*(f"--flagfile={file}" for file in files), *extra, f"--seed={seed}")
            config = config_of([*arguments, "--workdir=w"])
            identity = json.dumps(config.identity(), sort_keys=True, default=str)
            digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
            there = sorted((root / "runs").glob(f"*-{digest}"))
            folder = there[0] if there else root / "runs" / f"{row.recipe}-seed{seed}-{digest}"
            planned[row.recipe].append(Run(arguments, config, Workdir(folder)))
    return planned


def carry_out(runs: Sequence[Run], probe: str) -> None:
    """Trains and probes each run as far as that is not done.

    Args:
        runs: in order.
        probe: name of the linear probe, or `none`.

    Raises:
        UsageError: if one of them fails.
        Stopped: after SIGTERM or Ctrl-C, once the run under way has saved.
    """
    runs = list({run.workdir.root: run for run in runs}.values())
    for number, run in enumerate(runs, 1):
        name = run.workdir.root.name
        if run.is_done:
            print(f"[{number}/{len(runs)}] {name}: done.")
        else:
            start = time.monotonic()
            print(f"[{number}/{len(runs)}] {name}: {' '.join(run.command)}", flush=True)
            if _call(run.command) == _DIVERGED:
                write_json(run.diverged_path, record(None, reason="the loss became no number"))
            print(f"[{number}/{len(runs)}] {name}: {(time.monotonic() - start) / 60:.1f} minutes.", flush=True)
        if probe != "none" and run.workdir.is_finished() and _probe_name(probe) not in run.workdir.summary():
            command = [sys.executable, str(_ROOT / "evaluate.py"), "--protocol=linear", f"--probe={probe}"]
            _call([*command, f"--workdir={run.workdir.root}"])


def _call(command):
    """The exit code of a command that was left to end by itself: 0, or that of a run that diverged."""
    with StopSignals() as signals, subprocess.Popen(command, start_new_session=True) as process:
        while process.poll() is None:
            if signals.received:
                process.terminate()
                process.wait()
                raise Stopped("Stopped; the run under way is saved, and the same command goes on from there.", 143)
            time.sleep(0.2)
    if process.returncode not in (0, _DIVERGED):
        raise UsageError(f"This run failed, and says above why: {' '.join(command)}. Received: {process.returncode}.")
    return process.returncode


def _probe_name(probe):
    return f"linear_{probe}_top1"


def top1_name(probe: str) -> str:
    """The record of summary.json that accuracies are taken from."""
    return "knn_top1" if probe == "none" else _probe_name(probe)


def outcome(runs: Sequence[Run], probe: str) -> Outcome:
    """What finished runs of one row came to.

    Args:
        runs: one for each seed.
        probe: as for `carry_out`.
    """
    finished = [run.workdir for run in runs if run.workdir.is_finished()]
    diverged = len(runs) - len(finished)
    if not finished:
        nan = float("nan")
        return Outcome(len(runs), nan, nan, nan, nan, diverged=diverged)
    summaries = [workdir.summary() for workdir in finished]

    def mean(name):
        return statistics.fmean(summary[name]["value"] for summary in summaries)

    top1 = [summary[top1_name(probe)]["value"] for summary in summaries]
    curves = [[line["loss"] for line in workdir.metrics() if "loss" in line] for workdir in finished]
    return Outcome(
        seeds=len(runs),
        top1=statistics.fmean(top1),
        untrained=mean("knn_top1_untrained"),
        loss=mean("loss"),
        std=mean("z_std_scaled"),
        losses=tuple(statistics.fmean(values) for values in zip(*curves, strict=True)),
        spread=statistics.stdev(top1) if len(top1) > 1 else None,
        diverged=diverged,
        cosine=runs[0].config.model.similarity == "cosine",
    )
