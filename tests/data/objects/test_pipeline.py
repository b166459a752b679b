import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf.augment.threefry import view_keys
from simsiam_tf.data.objects.masks import draw_masks
from simsiam_tf.data.objects.order import AspectOrder
from simsiam_tf.data.objects.pipeline import detection_batches
from simsiam_tf.data.objects.resize import Recipe, keys_and_draws
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.sources import listing_bad_images
from simsiam_tf.distribute.input import Share
from simsiam_tf.errors import UsageError
from tests.data.objects.coco_files import content, open_coco_files, write_coco

RECIPE = Recipe((32, 48, 64), long_side=90, eval_short_side=40)


@pytest.fixture
def annotated(tmp_path):
    return open_coco_files(tmp_path, content()).to_train()


@pytest.fixture
def every(tmp_path):
    return open_coco_files(tmp_path, content(), max_bad_fraction=0.6)


def batches(annotated, order, start=0, stop=4, recipe=RECIPE, **share):
    size = share.pop("batch", order.global_batch_size)
    dataset = detection_batches(annotated, order, recipe, Share(size, **share), start, stop)
    return list(dataset.as_numpy_iterator())


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], name)


def test_images_boxes_and_masks_are_resized_and_flipped_alike(annotated):
    order = ShuffledOrder(3, 2, seed=3)
    seen = set()
    for step, batch in enumerate(batches(annotated, order, stop=12)):
        assert batch["images"].dtype == np.uint8 and batch["boxes"].dtype == np.float32
        assert batch["boxes"].shape[1:] == (4, 4) and batch["classes"].shape == (2, 4)
        keys, draws = keys_and_draws(3, tf.constant(step, tf.int64), tf.constant(batch["index"]))
        np.testing.assert_array_equal(batch["keys"], keys)
        np.testing.assert_array_equal(batch["keys"], view_keys(3, step, tf.constant(batch["index"]), 0))
        for i, position in enumerate(batch["index"]):
            objects = annotated.objects[position]
            short, flipped = RECIPE.short_sides[int(draws[i, 0] * 3)], bool(draws[i, 1] < 0.5)
            seen.add((short, flipped))
            height, width = objects.size
            scale = min(short / min(height, width), 90 / max(height, width))
            new_height, new_width = int(height * scale + 0.5), int(width * scale + 0.5)
            assert batch["sizes"][i].tolist() == [new_height, new_width]
            file = Image.open(annotated.source.files.locate(int(position)))
            expected = np.asarray(file.resize((new_width, new_height), Image.Resampling.BILINEAR))
            image = batch["images"][i]
            np.testing.assert_array_equal(image[:new_height, :new_width], expected[:, ::-1] if flipped else expected)
            assert not image[new_height:].any() and not image[:, new_width:].any()
            left, top, right, bottom = objects.boxes[~objects.crowd][0]
            x, y = new_width / width, new_height / height
            left, right = (new_width - right * x, new_width - left * x) if flipped else (left * x, right * x)
            np.testing.assert_allclose(batch["boxes"][i, 0], [left, top * y, right, bottom * y], rtol=1e-6)
            assert batch["classes"][i].tolist() == [objects.classes[~objects.crowd][0], -1, -1, -1]
            assert not batch["boxes"][i, 1:].any()
            masks = np.unpackbits(batch["masks"][i], axis=-1)
            assert masks.shape == (4, *image.shape[:2])
            assert not masks[1:].any() and not masks[0, new_height:].any() and not masks[0, :, new_width:].any()
            rows, columns = np.nonzero(masks[0])
            around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.abs(np.clip(batch["boxes"][i, 0], 0, None) - around).max() <= 1.5
            drawn = draw_masks(objects.to_train().masks, objects.size, (new_height, new_width))[0]
            found = masks[0, :new_height, :new_width]
            if not flipped:
                np.testing.assert_array_equal(found, drawn)
            assert np.mean(found != (drawn[:, ::-1] if flipped else drawn)) < 0.03
    assert len(seen) == 6


def test_a_restart_gives_the_same_bits(annotated):
    order = ShuffledOrder(3, 2, seed=1)
    whole = batches(annotated, order, 0, 6)
    for start in range(6):
        for ours, theirs in zip(batches(annotated, order, start, 6), whole[start:], strict=True):
            assert_same(ours, theirs)
    other = batches(annotated, ShuffledOrder(3, 2, seed=2), 0, 6)
    assert any((a["keys"] != b["keys"]).any() for a, b in zip(other, whole, strict=True))


@pytest.mark.parametrize("kind", [ShuffledOrder, AspectOrder])
def test_replicas_and_parts_have_one_canvas_and_are_the_whole_batch(kind, every):
    sizes = {"sizes": every.sizes} if kind is AspectOrder else {}
    order = kind(4, 4, seed=1, **sizes)
    whole = batches(every, order, 0, 8)
    assert len({batch["images"].shape for batch in whole}) > 1
    for share in ({"replicas": 2, "all_replicas": 2}, {"parts": 2}, {"replicas": 2, "all_replicas": 2, "parts": 2}):
        count = share.get("replicas", 1) * share.get("parts", 1)
        pieces = batches(every, order, 0, 8, batch=4 // count, **share)
        assert len(pieces) == 8 * count
        for step, batch in enumerate(whole):
            own = pieces[step * count : (step + 1) * count]
            assert_same({name: np.concatenate([piece[name] for piece in own]) for name in batch}, batch)
    second = batches(every, order, 0, 8, batch=2, replicas=1, first_replica=1, all_replicas=2)
    for own, batch in zip(second, whole, strict=True):
        assert_same(own, {name: array[2:] for name, array in batch.items()})


def test_one_canvas_makes_all_shapes_known(every):
    recipe = dataclasses.replace(RECIPE, canvases="one")
    dataset = detection_batches(every, ShuffledOrder(4, 4, 0), recipe, Share(4))
    assert all(spec.shape.is_fully_defined() for spec in dataset.element_spec.values())
    assert dataset.element_spec["images"].shape == (4, 96, 96, 3)
    assert dataset.element_spec["masks"].shape == (4, 4, 96, 12)
    next(iter(dataset))


def test_sets_without_masks_have_batches_without_masks(tmp_path):
    bare = content()
    for annotation in bare["annotations"]:
        del annotation["segmentation"]
    (batch,) = batches(open_coco_files(tmp_path, bare), ShuffledOrder(4, 4, 0), 0, 1)
    assert "masks" not in batch


def test_an_unreadable_image_is_replaced_by_the_next_on_the_same_canvas(every, tmp_path, caplog):
    order = ShuffledOrder(4, 4, seed=1)
    before = batches(every, order, 0, 6)
    (tmp_path / "images/5.png").write_bytes(b"no image")
    after = batches(every, order, 0, 6)
    for ours, theirs in zip(after, before, strict=True):
        assert ours["images"].shape == theirs["images"].shape
        np.testing.assert_array_equal(ours["index"], theirs["index"])
        for i, position in enumerate(ours["index"]):
            if position != 1:
                np.testing.assert_array_equal(ours["images"][i], theirs["images"][i])
            else:
                assert ours["classes"][i].max() == -1  # the next one has no object
                assert ours["sizes"][i, 0] == ours["sizes"][i, 1] > 0
    assert caplog.text.count("skipped an image that cannot be read") == 1


def test_a_stand_in_that_the_canvas_does_not_hold_is_shrunk(every, tmp_path):
    (tmp_path / "images/9.png").unlink()
    found = [batch for batch in batches(every, ShuffledOrder(4, 1, seed=1), 0, 40) if batch["index"] == 2]
    assert {batch["images"].shape[1:3] for batch in found} == {(64, 64)}
    for batch in found:
        ((height, width),) = batch["sizes"]
        assert abs(width / height - 64 / 40) < 0.1 and width <= 64  # the next one has 64 x 40 pixels
        assert batch["classes"][0, 0] == 0
        assert batch["boxes"][0, 0, 3] - batch["boxes"][0, 0, 1] == pytest.approx(8 * height / 40)


def test_a_size_that_differs_from_the_annotation_is_said(every, tmp_path, caplog):
    Image.new("RGB", (60, 30)).save(tmp_path / "images/3.png")
    batches(every, ShuffledOrder(4, 4, seed=1), 0, 1)
    assert "it has 60 x 30 pixels, and its annotation says 60 x 40 (--exif=upright)" in caplog.text


def test_turned_photographs_have_the_boxes_of_what_is_shown(tmp_path, caplog):
    turned = content()
    turned["images"][-1].update(file_name="3.jpg")
    write_coco(tmp_path, turned)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 60)).save(tmp_path / "images/3.jpg", exif=exif)  # 60 wide and 40 high once upright
    annotated = open_coco_files(tmp_path, turned, max_bad_fraction=0.3)
    batches(annotated, ShuffledOrder(4, 4, seed=1), 0, 1)
    assert not caplog.records
    batches(open_coco_files(tmp_path, turned, max_bad_fraction=0.3, exif="ignore"), ShuffledOrder(4, 4, seed=1), 0, 1)
    assert "it has 40 x 60 pixels, and its annotation says 60 x 40 (--exif=ignore)" in caplog.text


def test_too_many_unreadable_images_end_the_run(tmp_path):
    annotated = open_coco_files(tmp_path, content())
    for number in (3, 5):
        (tmp_path / f"images/{number}.png").unlink()
    rule = r"At most 1\.00% of the 4 images of coco/objects.json may be unreadable"
    with (
        pytest.raises(UsageError, match=rule),
        listing_bad_images([annotated.source], tmp_path / "bad.txt"),
    ):
        batches(annotated, ShuffledOrder(4, 4, seed=1), 0, 1)
    assert len((tmp_path / "bad.txt").read_text().split()) == 2


def test_shuffled_order_asks_for_the_images_of_the_batches(annotated):
    order = ShuffledOrder(3, 3, seed=1)
    index = np.stack([batch["index"] for batch in batches(annotated, order, 0, 4)])
    np.testing.assert_array_equal(np.sort(index), [[0, 1, 2]] * 4)
