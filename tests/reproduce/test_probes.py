"""Linear probes that are compared were measured alike."""

import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.reproduce import page, probes
from simsiam_tf.training.workdir import record
from tests.reproduce.test_runs import FIG2, pretend

WAY = {"protocol": "linear", "epochs": 90, "batch_size": 4096, "test": "cifar10/test", "checkpoint": "step-20"}


@pytest.fixture
def write(plan, tmp_path):
    """Returns a function that writes a page whose second row's probe was measured in another way."""

    def write(**other):
        made = plan()
        for number, row in enumerate(FIG2.rows):
            (run,) = made[row.recipe]
            pretend(run)
            run.workdir.add_to_summary({"loss": record(-0.6, checkpoint="step-20")})
            about = {**WAY, **(other if number == 1 else {})}
            run.workdir.add_to_summary({"linear_paper_top1": record(50.0 + number, learning_rate=number, **about)})
        return page.write(tmp_path, "fig2", FIG2, made, "paper", [])[1]

    return write


def test_probes_that_were_measured_alike_are_compared(write):
    assert "| without | 0.1 | 51.0 |" in write()


@pytest.mark.parametrize("other", [{"epochs": 5}, {"batch_size": 256}, {"test": "cifar10/train"}, {"protocol": "x"}])
def test_a_probe_that_was_measured_otherwise_is_refused(other, write):
    name, value = next(iter(other.items()))
    with pytest.raises(UsageError, match=r"Rows are compared by linear_paper_top1, .* measured alike") as refused:
        write(**other)
    assert f"{name} {value}" in str(refused.value)


def test_a_probe_of_an_earlier_checkpoint_is_refused(write):
    with pytest.raises(UsageError, match=r"of the last checkpoint .*Received: .*checkpoint step-10"):
        write(checkpoint="step-10")


@pytest.mark.parametrize(("checkpoint", "lacks"), [("step-20", False), ("step-10", True), (None, True)])
def test_a_probe_of_an_earlier_checkpoint_is_trained_anew(checkpoint, lacks, plan):
    """The run was evaluated before its end, and then went on."""
    (run,) = plan()["baseline"]
    pretend(run)
    run.workdir.add_to_summary({"loss": record(-0.6, checkpoint="step-20")})
    if checkpoint:
        run.workdir.add_to_summary({"linear_paper_top1": record(50.0, checkpoint=checkpoint)})
    assert probes.lacks_probe(run, "paper") == lacks
    assert not probes.lacks_probe(run, "none")
