import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.reproduce.config import ReproduceConfig
from simsiam_tf.reproduce.experiments import EXPERIMENTS


def test_rows_bring_those_that_they_are_compared_with():
    table1 = ReproduceConfig(experiment="table1", rows=("table1b_predictor_fixed",)).chosen(EXPERIMENTS["table1"])
    assert [row.recipe for row in table1.rows] == ["baseline", "table1b_predictor_fixed"]
    sec62 = ReproduceConfig(experiment="sec62", rows=("sec62_swav_predictor",)).chosen(EXPERIMENTS["sec62"])
    kept = ["table1c_predictor_constant_lr", "table4_swav_epochs_100", "sec62_swav_predictor"]
    assert [row.recipe for row in sec62.rows] == kept
    assert ReproduceConfig(experiment="fig2").chosen(EXPERIMENTS["fig2"]) == EXPERIMENTS["fig2"]


@pytest.mark.parametrize(
    ("experiment", "rows", "message"),
    [
        ("all", ("baseline",), "--rows needs one --experiment. Received: --rows=baseline."),
        (
            "fig2",
            ("table1b_predictor_fixed",),
            "--rows must name rows of baseline, fig2_no_stop_gradient, ",
        ),
        ("table5", ("baseline",), "--rows must name rows of "),
    ],
)
def test_rows_that_are_not_there_are_refused(experiment, rows, message):
    with pytest.raises(UsageError) as refused:
        ReproduceConfig(experiment=experiment, size="made" if experiment == "table5" else "shapes", rows=rows)
    assert str(refused.value).startswith(message)
