import subprocess
import sys

import pytest

from simsiam_tf.cli import flags as definitions
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


@pytest.mark.parametrize("experiment", ["fig2", "all", "table5"])
def test_a_dry_run_lists_the_runs_and_writes_nothing(experiment, tmp_path):
    place = tmp_path / "new"
    given = [f"--experiment={experiment}", f"--size={'made' if experiment == 'table5' else 'shapes'}", "--dry_run"]
    command = [sys.executable, "-m", "simsiam_tf.reproduce", *given, f"--workdir={place}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    shown = done.stdout + done.stderr
    assert "Nothing was trained or written." in shown.splitlines()[-1]
    assert "] baseline-seed0-" in shown or experiment == "table5"
    assert "--backbone=none" in shown or experiment != "table5"
    assert not place.exists()


def test_a_run_that_fails_is_named(plan):
    with pytest.raises(UsageError, match=r"its error message is above: false\. Received: exit code 1"):
        execution.call_or_stop(["false"])
