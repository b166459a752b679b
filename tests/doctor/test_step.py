import contextlib

import pytest
import tensorflow as tf

from simsiam_tf.doctor import opened, step
from simsiam_tf.doctor.checks import Asked
from simsiam_tf.doctor.step import Measured
from simsiam_tf.errors import UsageError
from tests.doctor.runs import config_of

GIB = 2**30


def measured(images, gib_of_image=0.25, fixed=1):
    return Measured(images, 2.0, fixed * GIB, int((fixed + gib_of_image * images) * GIB), checkpoint=1000)


def test_a_few_images_are_scaled_to_the_batch():
    outcome = step.judge(config_of("--global_batch_size=32"), measured(8), memory=16 * GIB, replicas=1)
    assert (outcome.state, outcome.value) == ("pass", "8 s for 32 images, 9 of 16 GiB, scaled from 8 images")
    assert outcome.facts == {"step": 8.0, "checkpoint": 1000}


def test_a_batch_that_cannot_fit_is_told_with_what_does():
    config = config_of("--global_batch_size=64")
    outcome = step.judge(config, measured(64), memory=10 * GIB, replicas=1)
    assert outcome.state == "fail"
    assert outcome.advice == (
        "about 36 images fit at once; --accumulate_steps=2 computes the batch in parts, or lower --global_batch_size"
    )
    assert step.judge(config, measured(8), memory=10 * GIB, replicas=1).state == "warn"  # only scaled


def test_parts_of_a_batch_are_in_memory_one_after_the_other():
    config = config_of("--global_batch_size=64", "--accumulate_steps=4")
    outcome = step.judge(config, measured(16), memory=6 * GIB, replicas=1)
    assert (outcome.state, outcome.facts["step"]) == ("pass", 8.0)


def test_what_fits_is_a_multiple_of_the_replicas():
    assert measured(16).fitting(10 * GIB, 1) == 36
    assert measured(16).fitting(10 * GIB, 8) == 32
    assert measured(16).fitting(GIB / 2, 1) == 0


@pytest.mark.parametrize(("flags", "images"), [([], 16), (["--global_batch_size=64", "--accumulate_steps=2"], 32)])
def test_small_steps_are_measured_whole(flags, images):
    assert step.images_to_measure(config_of(*flags), 1) == images


def test_large_steps_are_measured_with_a_few_images():
    large = ["--arch=resnet50", "--width=1", "--image_size=224", "--global_batch_size=256"]
    assert step.images_to_measure(config_of(*large), 1) == 2
    assert step.images_to_measure(config_of(*large), 4) == 8
    assert 2 < step.images_to_measure(config_of("--width=1", "--global_batch_size=512"), 1) < 32


class Accelerator:
    """Stands for GPUs that some images fit on."""

    num_replicas_in_sync = 2

    def __init__(self, monkeypatch, fits):
        self.tried = []
        monkeypatch.setattr(step, "strategy_of", lambda config: self)
        monkeypatch.setattr(step, "has_accelerator", lambda strategy: True)
        monkeypatch.setattr(step, "_memory_of_device", lambda: 10 * GIB)

        def measure(config, strategy, images):
            self.tried.append(images)
            if images > fits:
                raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
            return measured(images)

        monkeypatch.setattr(step, "_measure", measure)


def test_on_an_accelerator_the_whole_step_is_measured(monkeypatch):
    gpus = Accelerator(monkeypatch, fits=100)
    outcome = step.step(Asked(config_of("--global_batch_size=16")))
    assert gpus.tried == [16]
    assert (outcome.state, outcome.value) == ("pass", "2 s for 16 images; about 36 images fit at once")


def test_on_an_accelerator_the_batch_is_halved_until_it_fits(monkeypatch):
    gpus = Accelerator(monkeypatch, fits=20)
    outcome = step.step(Asked(config_of("--global_batch_size=64")))
    assert gpus.tried == [64, 32, 16]
    assert outcome.state == "fail"
    assert outcome.value == "64 images at once do not fit; 16 do, about 36 would"
    assert outcome.advice.startswith("--accumulate_steps=2 computes the batch in parts")
    Accelerator(monkeypatch, fits=1)
    with pytest.raises(UsageError, match="Not even two images fit"):
        step.step(Asked(config_of("--global_batch_size=64")))


def test_a_run_on_several_machines_is_not_judged(monkeypatch):
    with contextlib.suppress(KeyError):
        monkeypatch.delenv("TF_CONFIG")
    with pytest.raises(UsageError, match="The doctor judges one machine"):
        opened.strategy_of(config_of("--strategy=slurm"))
