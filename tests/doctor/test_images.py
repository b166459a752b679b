import numpy as np
import pytest
from PIL import Image

from simsiam_tf.doctor.checks import Asked
from simsiam_tf.doctor.images import images
from tests.doctor.runs import config_of
from tests.inspection.pictures import picture, save


@pytest.fixture
def judge(tmp_path):
    def judge(*flags):
        return images(Asked(config_of("--dataset=folder", f"--data_dir={tmp_path}", "--max_examples=0", *flags)))

    return judge


def constant(path, level=9):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 50, 3), level, np.uint8)).save(path)


def test_photographs_pass(judge, tmp_path):
    for i in range(6):
        save(picture(i), tmp_path / f"{i}.jpg")
    assert (judge().state, judge().value) == ("pass", "6 headers and 6 pictures looked at; nothing unusual")


def test_constant_images_fail(judge, tmp_path):
    for i in range(6):
        constant(tmp_path / f"{i}.png", i)
    outcome = judge()
    assert (outcome.state, outcome.value) == ("fail", "6 headers and 6 pictures looked at; 6 of a single colour")
    assert "teach nothing" in outcome.advice


def test_a_few_odd_images_warn(judge, tmp_path):
    for i in range(6):
        save(picture(i), tmp_path / f"{i}.jpg")
    constant(tmp_path / "grey.png")
    outcome = judge()
    assert outcome.state == "warn"
    assert outcome.value.endswith("; 1 of a single colour")


def test_equal_images_warn(judge, tmp_path):
    for i in range(6):
        save(picture(0), tmp_path / f"{i}.jpg")
    assert judge().state == "warn"
    assert judge().value.endswith("; 5 equal to another")


def test_images_of_two_splits_warn(judge, tmp_path):
    for i in range(6):
        save(picture(i), tmp_path / f"train/{i}.jpg")
    save(picture(3), tmp_path / "val/x.jpg")
    save(picture(9), tmp_path / "val/y.jpg")
    assert "2 both trained and evaluated on" in judge().value


def test_too_many_unreadable_images_fail(judge, tmp_path):
    for i in range(6):
        save(picture(i), tmp_path / f"{i}.jpg")
    for i in range(3):
        (tmp_path / f"bad{i}.jpg").write_bytes(b"no image")
    outcome = judge()
    assert outcome.state == "fail"
    assert "A run would stop, for 3 of the 9 training images cannot be read" in outcome.advice
    assert judge("--max_bad_fraction=0.5").state == "warn"
