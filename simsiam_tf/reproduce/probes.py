"""Trains the linear probes of finished runs, and checks that those of a page were measured alike."""

from collections.abc import Sequence

from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.report.numbers import is_of_the_end
from simsiam_tf.reproduce.execution import call_or_stop
from simsiam_tf.reproduce.runs import Run
from simsiam_tf.training.stop_signals import command_line

# What must be the same of two linear probes that are compared.
_WAYS = ("protocol", "epochs", "batch_size", "train", "train_size", "test")


def lacks_probe(run: Run, probe: str) -> bool:
    """Returns whether a linear probe of its last checkpoint is wanted that a run does not have, unless it diverged.

    Args:
        run: the run.
        probe: the name of the linear probe, or `none`.
    """
    if probe == "none" or run.diverged_path.exists():
        return False
    summary = run.workdir.summary()
    return _probe_name(probe) not in summary or not is_of_the_end(summary[_probe_name(probe)], summary)


def train_probe(run: Run, probe: str) -> None:
    """Trains the linear probe of a run that has finished, if it is missing.

    Args:
        run: the run.
        probe: the name of the linear probe, or `none`.

    Raises:
        UsageError: if the command fails.
        Stopped: after SIGTERM or Ctrl-C.
    """
    if lacks_probe(run, probe) and run.workdir.is_finished():
        command = [*command_line("evaluate"), "--protocol=linear", f"--probe={probe}"]
        command += [flag for flag in run.arguments if flag.startswith("--verbosity=")]
        call_or_stop([*command, f"--workdir={run.workdir.root}"])


def _probe_name(probe: str) -> str:
    return f"linear_{probe}_top1"


def top1_name(probe: str) -> str:
    """Returns the name of the summary.json record that holds the accuracy to compare.

    Args:
        probe: the name of the linear probe, or `none` for kNN.
    """
    return "knn_top1" if probe == "none" else _probe_name(probe)


def check_alike(runs: Sequence[Run], probe: str) -> None:
    """Raises a UsageError if the linear probes of finished runs were not measured in the same way, at the end.

    Args:
        runs: the runs of a page.
        probe: the name of the linear probe, or `none`, for which there is nothing to check.
    """
    if probe == "none":
        return
    first: tuple[str, str] | None = None
    for run in (run for run in runs if run.workdir.is_finished()):
        summary = run.workdir.summary()
        found = summary.get(_probe_name(probe), {})
        ways = {key: found[key] for key in _WAYS if key in found}
        if not is_of_the_end(found, summary):
            ways["checkpoint"] = found["checkpoint"]
        text, where = ", ".join(f"{key} {value}" for key, value in ways.items()), run.workdir.root.name
        first = first or (text, where)
        if text != first[0] or "checkpoint" in ways:
            rule = f"Rows are compared by {_probe_name(probe)}, of the last checkpoint and measured alike; repeat "
            rule += f"evaluate.py --protocol=linear --probe={probe} on the run that differs."
            raise UsageError(f"{rule} Received: {where} ({text}); {first[1]} ({first[0]}).")
