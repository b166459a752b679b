import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.augment import POLICIES, Policy, TwoViews
from simsiam_tf.data.pipeline import views_of
from simsiam_tf.data.sources import memory_source
from simsiam_tf.errors import UsageError


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 20, 24, 3)).astype("uint8")


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["simsiam_cifar", "byol"])
def test_given_index_and_epoch_the_views_are_those_of_training(policy, images):
    expected = views_of(memory_source("six", images, None), POLICIES[policy], 16, 3, 5, range(6))
    two_views = TwoViews(policy, size=16, seed=3)
    for view, reference in zip(two_views(images, index=np.arange(6), epoch=5), expected, strict=True):
        np.testing.assert_array_equal(view, reference)
    for view, reference in zip(two_views(images[4], index=4, epoch=5), expected, strict=True):
        np.testing.assert_array_equal(view, reference[4])
    assert int(two_views.num_seen) == 0


def test_each_pass_over_a_data_set_sees_other_views(images):
    two_views = TwoViews("linear_train", size=16)
    dataset = tf.data.Dataset.from_tensor_slices(images).map(two_views, tf.data.AUTOTUNE).batch(6)
    passes = [x for _ in range(3) for views in dataset for x in views]
    assert int(two_views.num_seen) == 18
    for i, first in enumerate(passes):
        for second in passes[:i]:
            assert np.abs(first - second).max(axis=(1, 2, 3)).min() > 0.1


@pytest.mark.slow
def test_a_batch_counts_its_images(images):
    two_views, alone = TwoViews(size=16), TwoViews(size=16)
    batch = two_views(images)
    single = [alone(image) for image in images]
    for i in range(2):
        np.testing.assert_array_equal(batch[i], tf.stack([views[i] for views in single]))


@pytest.mark.slow
def test_images_of_any_size_are_taken(images):
    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    dataset = tf.data.Dataset.from_generator(lambda: iter([images[0], images[1, :9]]), output_signature=spec)
    x1, x2 = next(iter(dataset.map(TwoViews(size=16)).batch(2)))
    assert x1.shape == x2.shape == (2, 16, 16, 3)
    static = TwoViews(size=16)(images[0], index=0, epoch=0)
    for view, reference in zip((x1, x2), static, strict=True):
        np.testing.assert_allclose(view[0], reference, atol=1e-4)  # without XLA the last bits differ


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["simsiam_cifar", "linear_eval"])
@pytest.mark.parametrize("shape", [(None, 20, 24, 3), (None, None, None, 3), (6, None, None, 3), (None, None, 24, 3)])
def test_a_batch_of_which_little_is_known_has_the_same_views_and_is_compiled(policy, shape, images):
    """Single ops take several times as long: `batch` without `drop_remainder` leaves the number of images open."""
    two_views = TwoViews(policy, size=16)
    graph = tf.function(
        lambda images: two_views(images, index=tf.range(6, dtype=tf.int64), epoch=0),
        input_signature=[tf.TensorSpec(shape, tf.uint8)],
        autograph=False,
    )
    for view, reference in zip(graph(images), two_views(images, index=np.arange(6), epoch=0), strict=True):
        np.testing.assert_allclose(view, reference, atol=1e-4)
        assert view.shape == (6, 16, 16, 3)
    function = graph.get_concrete_function()
    assert all(view.shape[1:] == (16, 16, 3) for view in function.outputs)
    compiled = [op for op in function.graph.get_operations() if b"_XlaMustCompile" in op.node_def.SerializeToString()]
    assert len(compiled) == 3  # the draws of the ops and of the crops, and the pixels


def test_a_large_image_has_the_views_that_it_has_with_sides_left_open(rng):
    """Both are cropped before the part that XLA compiles; small images are cropped inside of it."""
    image = rng.integers(0, 256, (70, 66, 3)).astype("uint8")
    two_views = TwoViews(Policy(), size=16)
    by_map = tf.function(lambda x: two_views(x, index=0, epoch=0), [tf.TensorSpec([None, None, 3], tf.uint8)], False)
    for view, reference in zip(by_map(image), two_views(image, index=0, epoch=0), strict=True):
        np.testing.assert_array_equal(view, reference)


@pytest.mark.slow
def test_float_images_need_their_range(images):
    exact = TwoViews(size=16)(images, index=np.arange(6), epoch=0)
    in_levels = TwoViews(size=16, value_range=(0, 255))(images.astype("float32"), index=np.arange(6), epoch=0)
    in_units = TwoViews(size=16, value_range=(0, 1))(images / np.float32(255), index=np.arange(6), epoch=0)
    for view, other, third in zip(exact, in_levels, in_units, strict=True):
        np.testing.assert_allclose(view, other, atol=1e-5)
        np.testing.assert_allclose(view, third, atol=1e-3)
    with pytest.raises(UsageError, match=r"Float images need value_range=.* Received: float32 \[6, 20, 24, 3\]"):
        TwoViews(size=16)(images.astype("float32"))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"outside of value_range=\(0, 1\)"):
        TwoViews(size=16, value_range=(0, 1))(images.astype("float32"))


@pytest.mark.parametrize(
    "wrong", [np.zeros([8, 8], "uint8"), np.zeros([8, 8, 1], "uint8"), np.zeros([8, 8, 3], "int32")]
)
def test_what_is_no_image_is_refused(wrong):
    with pytest.raises(UsageError, match=r"^Images must be .* Received: "):
        TwoViews(size=4)(wrong)


def test_a_layer_under_a_strategy_is_refused(two_replicas):
    with two_replicas.scope(), pytest.raises(UsageError, match="make it outside of the strategy"):
        TwoViews()


@pytest.mark.parametrize("policy", ["byol", Policy(crop_min_scale=0.5), (Policy(), Policy(flip_p=1.0))])
def test_a_layer_is_serialised(policy):
    layer = TwoViews(policy, size=8, seed=7, value_range=(-1, 1), name="views")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert again.policies == layer.policies


def test_a_checkpoint_keeps_the_count(images, tmp_path):
    two_views = TwoViews("linear_train", size=8)
    two_views(images)
    path = tf.train.Checkpoint(views=two_views).save(tmp_path / "checkpoint")
    again = TwoViews("linear_train", size=8)
    tf.train.Checkpoint(views=again).restore(path).assert_consumed()
    assert int(again.num_seen) == 6


def test_labels_are_not_taken_for_positions(images):
    """Each image of a class would have had the same views, in every pass."""
    labelled = tf.data.Dataset.from_tensor_slices((images, np.arange(6)))
    with pytest.raises(Exception, match=r"TwoViews takes images alone, as in dataset\.map.* Received: 2 values\."):
        labelled.map(TwoViews(size=8))
    with pytest.raises(UsageError, match=r"Received: 3 values\."):
        TwoViews(size=8)(images, np.arange(6), 1)
    for name, value in ("index", np.arange(6)), ("epoch", 3):
        with pytest.raises(UsageError, match=f"^index and epoch go together; .* Received: {name} alone"):
            TwoViews(size=8)(images, **{name: value})
    two_views = TwoViews(size=8)
    assert len(list(labelled.map(lambda image, label: two_views(image)).take(1))) == 1
