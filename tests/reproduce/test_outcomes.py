import math

import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.reproduce import page
from simsiam_tf.reproduce.outcomes import outcome
from simsiam_tf.training.workdir import record
from tests.reproduce.test_runs import FIG2, pretend


@pytest.mark.parametrize("way", [{"k": 20}, {"temperature": 0.07}, {"train_size": 1_281_167}, {"checkpoint": "step-1"}])
def test_rows_are_compared_by_the_monitor_s_knn_whatever_evaluate_measured(way, plan, tmp_path):
    made = plan()
    for row in FIG2.rows:
        pretend(made[row.recipe][0])
    before = outcome(made["baseline"], "none")
    about = {"protocol": "another kNN", "k": 200, "temperature": 0.1, **way}
    made["baseline"][0].workdir.add_to_summary({"knn_top1": record(99.0, **about)})
    assert outcome(made["baseline"], "none") == before
    assert "Ours: kNN, k 200, T 0.1." in page.write(tmp_path, "fig2", FIG2, made, "none", [])[1]


def test_a_run_without_labels_is_refused_in_one_sentence(plan):
    made = plan()["baseline"]
    pretend(made[0])
    made[0].workdir.metrics_path.unlink()
    made[0].workdir.append_metrics({"epoch": 2, "loss": -0.6, "z_std_scaled": 1.0})
    with pytest.raises(UsageError, match="compared by knn_top1, which needs labels"):
        outcome(made, "none")


def test_an_outcome_reads_the_features_rank_and_how_the_loss_varies(plan):
    """The rank of the untrained and of the last epoch; the loss of the second half; each run counts the same."""
    several = plan(seeds=(0, 1), extra=("--epochs=4", "--epochs_scale=1"))["baseline"]
    for run, stds in zip(several, ({2: 9.0, 3: 0.1, 4: 0.3}, {4: 0.4}), strict=True):
        pretend(run)
        run.workdir.metrics_path.unlink()
        for epoch, rank in {0: 10.0, 2: 50.0, 3: None, 4: 20.0}.items():
            known = {"loss_std": stds[epoch]} if epoch in stds else {}
            known |= {"feature_effective_rank": rank} if rank else {}
            run.workdir.append_metrics({"epoch": epoch, "loss": -0.6, "knn_top1": 40.0, **known})
    found = outcome(several, "none")
    assert (found.untrained_rank, found.rank, found.epochs, found.hours) == (10.0, 20.0, 4, 1.0)
    assert found.step_spread == pytest.approx((0.2 + 0.4) / 2)


def test_what_a_run_has_not_recorded_is_not_taken_from_another_epoch(plan):
    run = plan(extra=("--epochs=4", "--epochs_scale=1"))["baseline"][0]
    pretend(run)  # epochs 1 and 2, without these measurements
    run.workdir.append_metrics({"epoch": 3, "loss": -0.6, "knn_top1": 40.0, "feature_effective_rank": 5.0})
    found = outcome([run], "none")
    assert math.isnan(found.rank) and math.isnan(found.untrained_rank) and math.isnan(found.step_spread)
