"""The command that reproduces Table 5, with pretended runs."""

import sys

from absl import flags

from simsiam_tf.cli import reproduce as command
from simsiam_tf.cli.console import define_verbosity_flag
from simsiam_tf.cli.flags import define_reproduce_flags
from simsiam_tf.reproduce import runs
from tests.reproduce.conftest import pretend_transfer
from tests.reproduce.test_runs import no_flags, pretend  # noqa: F401


def test_the_command_plans_both_kinds_of_runs_and_writes_the_page(no_flags, tmp_path, monkeypatch):  # noqa: F811
    given = ["--experiment=table5", "--size=made", "--rows=scratch,byol", "--seeds=2", "--seed=4", "--verbosity=quiet"]
    given += ["--transfer_flags=--steps=700 --data_dir=d", "--precision=bfloat16", f"--workdir={tmp_path}"]
    define_reproduce_flags()
    define_verbosity_flag()
    flags.FLAGS(["reproduce", *given])
    monkeypatch.setattr(sys, "argv", ["reproduce", *given])
    carried_out = []

    def carry_out(jobs, probe):
        carried_out.extend(jobs)
        for job in jobs:
            (pretend if job.script == "train.py" else pretend_transfer)(job)

    monkeypatch.setattr(runs, "carry_out", carry_out)
    command.reproduce()
    assert [job.script for job in carried_out] == ["transfer.py"] * 2 + ["train.py", "transfer.py"] * 2
    scratch, *_, trained, transfer = carried_out
    assert (trained.config.devices.precision, transfer.config.devices.precision) == ("bfloat16", "float32")
    assert (trained.config.run.seed, transfer.config.run.seed, transfer.config.run.steps) == (5, 5, 700)
    assert all("--verbosity=quiet" in job.arguments for job in carried_out)
    assert scratch.workdir.root.parent == tmp_path / "transfer"
    own = "--size=made --seeds=2 --seed=4 --rows=scratch,byol --transfer_flags=--steps=700 --precision=bfloat16"
    assert f"`python -m simsiam_tf.reproduce --experiment=table5 {own}`" in (tmp_path / "table5.md").read_text()
