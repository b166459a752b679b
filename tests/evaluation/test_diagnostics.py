"""The protocol diagnostics on a finished run."""

import json

import pytest

from simsiam_tf.errors import UsageError
from tests.evaluation.judging import judge, summary


def test_diagnostics_of_one_image_are_refused(tiny_run):
    with pytest.raises(UsageError, match=r"at least two images; .* Received: 1 of shapes/test"):
        judge(tiny_run, protocol="diagnostics", diagnostics_max_examples=1)


@pytest.mark.slow
def test_diagnostics_leave_the_training_s_numbers_alone(tiny_run):
    before = summary(tiny_run)
    judge(tiny_run, protocol="diagnostics", diagnostics_max_examples=300)
    records = summary(tiny_run)
    assert {name: records[name] for name in before} == before
    for of, width in (("features", 32), ("z", 16)):
        assert 0 < records[f"diagnostics_{of}_alignment"]["value"] <= 4
        assert records[f"diagnostics_{of}_alignment"]["images_size"] == 300
        assert records[f"diagnostics_{of}_uniformity"]["value"] < 0
        assert 1 <= records[f"diagnostics_{of}_effective_rank"]["value"] <= width
        spectrum = json.loads((tiny_run / "diagnostics.json").read_text())[f"{of}_singular_values"]
        assert len(spectrum) == width
        assert spectrum == sorted(spectrum, reverse=True)
