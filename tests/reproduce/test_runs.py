import json
import pathlib

import pytest

from flags import definitions
from simsiam_tf.reproduce import page, runs
from simsiam_tf.reproduce.experiments import EXPERIMENTS
from simsiam_tf.settings import UsageError
from simsiam_tf.workdir import record, write_json

FIG2 = EXPERIMENTS["fig2"]


@pytest.fixture
def plan(tmp_path):
    def plan(experiment=FIG2, seeds=(0,), extra=("--weight_decay=0.001",)):
        of = definitions.training_config_of
        return runs.plan(experiment.rows, lambda _: seeds, "shapes", extra, tmp_path, of)

    return plan


def pretend(run, top1=40.0, loss=-0.6):
    """Leaves what a finished run leaves."""
    run.workdir.root.mkdir(parents=True)
    config = {"config": run.config.to_dict(), "git_commit": "c" * 40}
    write_json(run.workdir.config_path, config)
    for epoch in (1, 2):
        run.workdir.append_metrics({"epoch": epoch, "loss": loss / (3 - epoch), "z_std_scaled": 1.0, "knn_top1": top1})
    values = {"knn_top1": top1, "knn_top1_untrained": 30.0, "loss": loss, "z_std_scaled": 1.0, "wall_seconds": 1800}
    about = {"protocol": "kNN", "k": 200, "temperature": 0.1}
    run.workdir.add_to_summary({name: record(value, **about) for name, value in values.items()})


def test_rows_with_the_same_settings_share_their_runs(plan, tmp_path):
    table1 = plan(EXPERIMENTS["table1"])
    pretend(table1["table1c_predictor_constant_lr"][0])
    sec45 = plan(EXPERIMENTS["sec45"])
    assert sec45["table1c_predictor_constant_lr"][0].is_done
    dims = plan(EXPERIMENTS["appb"])
    assert dims["appb_dim_2048"][0].workdir.root == table1["table1c_predictor_constant_lr"][0].workdir.root
    assert not dims["appb_dim_1024"][0].is_done
    assert not plan(EXPERIMENTS["sec45"], extra=("--weight_decay=0.002",))["table1c_predictor_constant_lr"][0].is_done


def test_what_is_done_is_skipped_and_the_rest_run_by_a_command_that_stands_alone(plan, monkeypatch):
    made = plan()
    first, second, third = (made[row.recipe][0] for row in FIG2.rows)
    pretend(first)
    called = []

    def call(command):
        called.append(command)
        return 3 if command == third.command else 0

    monkeypatch.setattr(runs, "_call", call)
    third.workdir.root.mkdir(parents=True)
    runs.carry_out([first, second, third, second], "none")
    assert called == [second.command, third.command]
    assert third.is_done  # it diverged, and is not tried again
    script, *flags = second.command[1:]
    assert pathlib.Path(script).name == "train.py"
    config = definitions.training_config_of(flags)
    assert config.identity() == second.config.identity()
    assert config.model.stop_gradient is False


def test_a_run_that_fails_is_named(plan):
    with pytest.raises(UsageError, match="says above why"):
        runs._call(["false"])


def test_the_page_has_both_numbers_and_the_mean_over_seeds(plan, tmp_path):
    made = plan(seeds=(0, 1))
    for number, row in enumerate(FIG2.rows):
        for seed, run in enumerate(made[row.recipe]):
            pretend(run, top1=40 - 10 * number + seed)
    text = page.write(tmp_path, "fig2", FIG2, made, "none")
    assert "| with stop-gradient | 67.7 | 40.5 +- 0.7 (2 seeds) | -0.600 | 1.000 |" in text
    assert "| collapses | no |" in text  # with this deviation
    assert "k 200, T 0.1; 3.0 hours" in text
    content = json.loads((tmp_path / "fig2.json").read_text())
    assert [row["top1"] for row in content["rows"]] == [40.5, 30.5, 20.5]
    assert content["commits"] == ["ccccccc"]
    assert (tmp_path / "fig2.png").stat().st_size > 10_000
