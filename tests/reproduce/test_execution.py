import json
import subprocess
import sys

import pytest
from absl import flags

from simsiam_tf.cli import flags as definitions
from simsiam_tf.cli import reproduce as command
from simsiam_tf.cli.console import define_verbosity_flag
from simsiam_tf.errors import Stopped, UsageError
from simsiam_tf.files import write_json
from simsiam_tf.reproduce import execution
from simsiam_tf.training import stop_signals
from tests.conftest import ROOT
from tests.reproduce.test_runs import FIG2, pretend


def test_a_stop_is_heard_even_as_a_run_ends(monkeypatch):
    class AtTheEnd(stop_signals.StopSignals):
        def __exit__(self, *error):
            self._number = 15
            super().__exit__(*error)

    monkeypatch.setattr(stop_signals, "StopSignals", AtTheEnd)
    with pytest.raises(Stopped) as stopped:
        execution.call_or_stop(["true"])
    assert stopped.value.exit_code == 143


def test_what_is_done_is_skipped_and_the_rest_run_by_a_command_that_stands_alone(plan, monkeypatch):
    made = plan()
    first, second, third = (made[row.recipe][0] for row in FIG2.rows)
    pretend(first)
    called = []

    def call(command):
        called.append(command)
        return 3 if command == third.command else 0

    monkeypatch.setattr(execution, "call_or_stop", call)
    third.workdir.root.mkdir(parents=True)
    execution.carry_out([first, second, third, second])
    assert called == [second.command, third.command]
    assert third.is_done  # it diverged, and is not tried again
    module, *flags = second.command[2:]
    assert module == "simsiam_tf.cli.train"
    config = definitions.training_config_of(flags)
    assert config.identity() == second.config.identity()
    assert config.model.of_method.stop_gradient is False


def test_what_is_left_is_told_by_the_runs_that_are_done(plan):
    """A run is as long as its epochs, and one that diverged tells nothing."""
    first, second, third = (of_row[0] for of_row in plan().values())
    short = plan(extra=("--epochs_scale=0.08",))["baseline"][0]
    assert execution.what_is_left([first, second]) == "2 of 2 runs are missing."
    pretend(short)  # 30 minutes
    assert first.length == 2 * short.length
    assert execution.what_is_left([short, first, second]) == "2 of 3 runs are missing: about 2 hours."
    third.workdir.root.mkdir(parents=True)
    write_json(third.diverged_path, {})
    assert execution.what_is_left([short, first, third]) == "1 of 3 runs are missing: about 60 minutes."
    assert execution.what_is_left([short, third]) == "All 2 runs are done."


@pytest.fixture
def reproduce(monkeypatch):
    """Returns a function that runs the command with flags, on runs that are said to be trained."""

    def carry_out(jobs, then):
        for job in jobs:
            if not job.is_done:
                pretend(job)

    def reproduce(*given):
        monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
        definitions.define_reproduce_flags()
        define_verbosity_flag()
        flags.FLAGS(["reproduce", *given])
        monkeypatch.setattr(sys, "argv", ["reproduce", *given])
        monkeypatch.setattr(
            execution, "carry_out", lambda jobs, then: [pretend(job) for job in jobs if not job.is_done]
        )
        command.reproduce()

    return reproduce


@pytest.mark.parametrize(
    "given",
    [
        ("--experiment=fig2", "--size=shapes", "--seed=4", "--workdir={}", "--data_dir=/home/me"),
        ("--experiment", "fig2", "--size", "shapes", "--seed", "4", "--workdir", "{}", "--data_dir", "/home/me"),
        ("-experiment=fig2", "-size=shapes", "-seed=4", "-workdir={}", "-data_dir=/home/me", "-verbosity=quiet"),
    ],
)
def test_the_page_s_command_repeats_the_flags_in_any_spelling_without_places(given, reproduce, tmp_path):
    reproduce(*(flag.format(tmp_path) for flag in given))
    shown = json.loads((tmp_path / "fig2.json").read_text())["command"]
    assert shown == "python -m simsiam_tf.reproduce --experiment=fig2 --size=shapes --seed=4 --workdir=W"


def test_a_page_of_some_rows_leaves_that_of_all(reproduce, tmp_path, caplog):
    caplog.set_level("INFO")
    given = "--experiment=fig2", "--size=shapes", f"--workdir={tmp_path}"
    reproduce(*given)
    before = {path: path.read_bytes() for path in tmp_path.glob("fig2.*")}
    assert len(before) == 3
    reproduce(*given, "--rows=fig2_no_stop_gradient")
    assert f"Wrote {tmp_path}/fig2_2.md, .json and .png" in caplog.messages
    assert "![loss, std and kNN](fig2_2.png)" in (tmp_path / "fig2_2.md").read_text()
    assert (tmp_path / "fig2_2.png").exists()
    assert {path: path.read_bytes() for path in before} == before


def test_rows_that_name_none_are_not_all(reproduce, tmp_path):
    with pytest.raises(UsageError, match=r"--rows must name something; leave it out for all\. Received: --rows=\."):
        reproduce("--experiment=fig2", "--size=shapes", "--rows=", f"--workdir={tmp_path}")


def test_a_dry_run_counts_the_probes_that_are_missing(reproduce, plan, tmp_path, caplog):
    """All runs may be done, and the command would still train for hours."""
    for of_row in plan(extra=()).values():
        pretend(of_row[0])
    given = "--experiment=fig2", "--size=shapes", f"--workdir={tmp_path}", "--dry_run"
    with caplog.at_level("INFO"):
        reproduce(*given)
        assert caplog.messages[-1] == "All 3 runs are done. Nothing was trained or written."
        reproduce(*given, "--probe=cached")
    probes = "3 of them will have a linear probe trained."
    assert caplog.messages[-1] == f"All 3 runs are done. {probes} Nothing was trained or written."


@pytest.mark.parametrize("experiment", ["fig2", "all", "table5"])
def test_a_dry_run_lists_the_runs_and_writes_nothing(experiment, tmp_path):
    place = tmp_path / "new"
    given = [f"--experiment={experiment}", f"--size={'made' if experiment == 'table5' else 'shapes'}", "--dry_run"]
    line = [sys.executable, "-m", "simsiam_tf.reproduce", *given, f"--workdir={place}"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=True)
    shown = done.stdout + done.stderr
    assert "Nothing was trained or written." in shown.splitlines()[-1]
    assert "] baseline-seed0-" in shown or experiment == "table5"
    assert "--backbone=none" in shown or experiment != "table5"
    assert not place.exists()


def test_a_run_that_fails_is_named(plan):
    with pytest.raises(UsageError, match=r"its error message is above: false\. Received: exit code 1"):
        execution.call_or_stop(["false"])
