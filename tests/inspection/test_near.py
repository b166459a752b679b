"""Near-duplicates: what is one picture, what is another, and what says too little."""

import io

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.inspection import near as module
from simsiam_tf.inspection.near import find_near, hash_bits
from tests.inspection.pictures import picture


def thumbnail(image):
    return np.asarray(image.convert("RGB").resize((9, 9), Image.Resampling.BOX))


def pairs(*images, most_bits=6):
    return find_near(np.stack([thumbnail(image) for image in images]), most_bits).pairs.tolist()


def saved(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def test_a_hash_has_144_bits_that_tell_which_neighbour_is_brighter():
    ramp = np.repeat(np.repeat(np.arange(9, dtype=np.uint8)[None, :, None] * 10, 9, axis=0), 3, axis=2)
    bits = hash_bits(np.stack([ramp, ramp.transpose(1, 0, 2), ramp[:, ::-1], ramp // 3]))
    assert bits.shape == (4, 144)
    assert bits.sum(axis=1).tolist() == [72, 72, 0, 0]
    assert bits[0, :72].all()
    assert bits[1, 72:].all()


@pytest.mark.parametrize(
    "change",
    [
        lambda image: saved(image, 40),
        lambda image: image.resize((75, 50), Image.Resampling.BICUBIC),
        lambda image: image.resize((260, 170), Image.Resampling.BICUBIC),
        lambda image: image.point(lambda level: min(255, level + 8)),
    ],
    ids=["saved anew", "smaller", "larger", "brighter"],
)
def test_copies_of_a_picture_are_found_among_others(change):
    images = [picture(seed) for seed in range(30)]
    assert pairs(*images, change(images[7]), change(images[20])) == [[7, 30], [20, 31]]


def test_other_pictures_are_not_near_duplicates():
    assert pairs(*(picture(seed) for seed in range(100))) == []


def test_pictures_that_differ_in_colour_only_are_others():
    image = picture(3)
    swapped = Image.merge("RGB", image.split()[::-1])
    green = Image.merge("RGB", [Image.new("L", image.size), image.convert("L"), Image.new("L", image.size)])
    grey = image.convert("L")
    assert pairs(image, swapped) == pairs(green, grey) == []


def test_plain_pictures_are_not_compared():
    plain = [Image.new("RGB", (20, 20), (level, 9, 9)) for level in (0, 1, 200)]
    near = find_near(np.stack([thumbnail(image) for image in [*plain, picture(1), picture(1)]]), 6)
    assert near.plain.tolist() == [True, True, True, False, False]
    assert near.pairs.tolist() == [[3, 4]]


def test_no_pair_within_the_limit_of_bits_is_missed(monkeypatch):
    """The bands propose every pair that a comparison of all with all finds."""
    monkeypatch.setattr(module, "_MOST_DIFFERENCE", 256.0)
    rng = np.random.default_rng(0)
    start = rng.integers(0, 256, (9, 9, 3))
    thumbnails = np.clip(start + rng.integers(-14, 15, (200, 9, 9, 1)), 0, 255).astype(np.uint8)
    bits = hash_bits(thumbnails)
    for most_bits in (0, 3, 6, 12):
        distance = (bits[:, None] != bits[None]).sum(axis=2)
        expected = [[i, j] for i, j in np.argwhere(distance <= most_bits) if i < j]
        near = find_near(thumbnails, most_bits)
        assert near.is_complete
        assert near.pairs.tolist() == expected
        assert near.bits.tolist() == [distance[i, j] for i, j in expected]
    assert len(expected) > 100


def test_a_limit_of_comparisons_is_said(monkeypatch):
    monkeypatch.setattr(module, "_WINDOW", 4)
    same = np.stack([thumbnail(picture(1))] * 20)
    near = find_near(same, 6)
    assert not near.is_complete
    assert near.groups() == [list(range(20))]


def test_groups_hold_what_is_connected():
    images = [picture(1), picture(2), saved(picture(1), 60), picture(3), saved(picture(3), 60), saved(picture(1), 70)]
    assert find_near(np.stack([thumbnail(image) for image in images]), 6).groups() == [[0, 2, 5], [3, 4]]
