import pathlib

import numpy as np
import pytest

from simsiam_tf.augment.policies import POLICIES
from simsiam_tf.doctor import augmentation
from simsiam_tf.doctor.checks import Asked

with np.load(pathlib.Path(augmentation.__file__).parent / "golden.npz") as stored:
    STORED = dict(stored)


@pytest.fixture
def judge(monkeypatch):
    """Judges views that are the stored ones, with levels added on the host and on the device."""

    def judge(host=0.0, device=0.0, accelerated=True):
        monkeypatch.setattr(augmentation, "has_accelerator", lambda strategy: accelerated)

        def made(name, added):
            views = STORED[name].astype(float)
            views[1, 3, 2, 1, 0] += added
            return lambda: views

        monkeypatch.setattr(augmentation, "made_on_host", made("host", host))
        monkeypatch.setattr(augmentation, "made_on_device", made("device", device))
        return augmentation.pixels(Asked())

    return judge


def test_stored_pixels_pass(judge):
    assert judge().state == "pass"
    assert judge(1.0, -1.0).state == "pass"


@pytest.mark.parametrize(
    ("host", "device", "words"),
    [(3, 0, "--augment_on=device"), (0, -3, "--augment_on=host"), (5, 5, "not those of this package")],
)
def test_one_wrong_pixel_fails_and_names_the_place(judge, host, device, words):
    outcome = judge(host, device)
    assert outcome.state == "fail"
    assert words in outcome.advice
    assert "not those of this package" in judge(host, device, accelerated=False).advice  # one CPU does both


def test_the_device_makes_the_stored_views():
    assert np.max(np.abs(augmentation.made_on_device() - STORED["device"])) <= augmentation.TOLERANCE


def judge_made(monkeypatch, *views):
    """Judges two views of three images, in epochs 0, 0 and 1."""
    made = iter(views)
    monkeypatch.setattr(augmentation, "views_of", lambda *args: next(made))
    return augmentation.judge(augmentation._source(), POLICIES["simsiam"], 4, 0, 3)


def test_views_that_differ_pass(monkeypatch, rng):
    first, later = (tuple(rng.standard_normal([2, 3, 4, 4, 3])) for _ in range(2))
    assert judge_made(monkeypatch, first, first, later).state == "pass"


def test_views_that_are_the_same_fail_and_few_of_them_warn(monkeypatch, rng):
    first, later = (tuple(rng.standard_normal([2, 3, 4, 4, 3])) for _ in range(2))
    outcome = judge_made(monkeypatch, (first[0], first[0]), (first[0], first[0]), later)
    assert outcome.state == "fail"
    assert outcome.value == "of 3 images, 3 have two equal views, and 0 the same view in two epochs"
    assert judge_made(monkeypatch, first, first, first).state == "fail"
    later[0][1] = first[0][1]
    outcome = judge_made(monkeypatch, first, first, later)
    assert outcome.state == "warn"
    assert outcome.value == "of 3 images, 0 have two equal views, and 1 the same view in two epochs"


def test_views_that_do_not_repeat_fail(monkeypatch, rng):
    outcome = judge_made(monkeypatch, *(tuple(rng.standard_normal([2, 3, 4, 4, 3])) for _ in range(3)))
    assert (outcome.state, outcome.value) == ("fail", "the same image, epoch and seed gave two different views")
