import pytest

from simsiam_tf.doctor.input import Rates, judge


@pytest.mark.parametrize(
    ("computing", "reading", "value", "advice"),
    [
        (0.3, 0.5, "the accelerator will wait 40% of the time: decoding the images", "6 more cores, or simsiam_tf.cli"),
        (0.49, 0.53, "the accelerator will wait 8% of the time: decoding the images", "1 more core, or simsiam_tf.cli"),
    ],
)
def test_an_accelerator_that_waits_is_warned_of_with_the_cure(computing, reading, value, advice):
    outcome = judge(Rates(computing, reading, "decoding the images", True), accelerated=True, cores=8)
    assert (outcome.state, outcome.value) == ("warn", value)
    assert outcome.advice.startswith(advice)
    assert outcome.facts == {"reading": reading}


def test_shards_are_not_prepared_again():
    outcome = judge(Rates(0.3, 0.5, "decoding the images", False), accelerated=True, cores=8)
    assert outcome.advice == "6 more cores would cure it"


@pytest.mark.parametrize(("computing", "reading"), [(0.5, 0.5), (0.5, 0.52), (0.5, 0.001)])
def test_an_accelerator_that_does_not_wait_passes(computing, reading):
    assert judge(Rates(computing, reading, "", True), accelerated=True, cores=8).state == "pass"


@pytest.mark.parametrize(
    ("cause", "preparable", "advice"),
    [
        ("decoding the images", True, "simsiam_tf.cli.prepare"),
        ("making the views", False, "--image_size"),
        ("fetching the images", False, "more cores"),
    ],
)
def test_a_cpu_shares_its_cores_between_reading_and_computing(cause, preparable, advice):
    rates = Rates(1.0, 3.0, cause, preparable)
    outcome = judge(rates, accelerated=False, cores=2)
    assert (outcome.state, outcome.value) == ("warn", f"the CPU will spend 75% of the time on reading: {cause}")
    assert advice in outcome.advice
    passed = judge(Rates(1.0, 0.2, cause, preparable), accelerated=False, cores=2)
    assert (passed.state, passed.value) == ("pass", "0.2 s a batch, beside 1 s of computing, on the same cores")
