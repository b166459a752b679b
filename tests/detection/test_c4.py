import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.detection import Detector
from simsiam_tf.detection.proposals import Objects, propose
from simsiam_tf.errors import UsageError
from tests.detection.tiny import CLASSES, SETTINGS, make_batch, make_detector


def losses_of(model, step, seeds):
    losses = []
    for seed in seeds:
        model.reset_metrics()
        losses.append({name: float(value) for name, value in step(make_batch(seed=seed)).items()})
    return losses


@pytest.mark.slow
def test_steps_lower_the_loss_of_a_batch():
    model = make_detector()
    step = tf.function(model.train_step, autograph=False)
    losses = [run["loss"] for run in losses_of(model, step, [3] * 30)]
    assert losses[-1] < 0.8 * losses[0]
    assert all(np.isfinite(losses))


@pytest.mark.slow
@pytest.mark.host_xla
def test_xla_computes_the_same_and_compiles_once():
    """To compile again for each batch, as it did for a mask that was looked up by a slice, takes seconds a step."""
    seeds, results = range(3), []
    for options in ({}, {"jit_compile": True}):
        model = make_detector()
        step = tf.function(model.train_step, autograph=False, **options)
        results.append(losses_of(model, step, seeds))
    for plain, compiled in zip(*results, strict=True):
        for name, value in plain.items():
            assert compiled[name] == pytest.approx(value, rel=1e-5, abs=1e-5), name
    program = [step.experimental_get_compiler_ir(make_batch(seed=seed))("hlo") for seed in (0, 1)]
    assert program[0] == program[1]


@pytest.mark.slow
def test_two_replicas_equal_one(float64, two_replicas):
    batch = {name: value if name != "views" else value[0] for name, value in make_batch(4).items()}
    batch = {name: tf.cast(x, tf.float64) if x.dtype == tf.float32 else x for name, x in batch.items()}

    def of(part):
        return {**{n: x for n, x in part.items() if n != "views"}, "views": (part["views"],)}

    alone = make_detector()
    with two_replicas.scope():
        together = make_detector()
    for a, b in zip(alone.variables, together.variables, strict=True):
        b.assign(a.value)

    def both(part):
        return two_replicas.run(lambda p: together.train_step(of(p)), args=(part,))

    step = tf.function(both, autograph=False)
    for _ in range(2):
        alone.train_step(of(batch))
        halves = two_replicas.experimental_distribute_values_from_function(
            lambda context: {n: x[2 * context.replica_id_in_sync_group :][:2] for n, x in batch.items()}
        )
        step(halves)
    for a, b in zip(alone.variables, together.variables, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=0, atol=1e-9, err_msg=a.path)
    assert float(together.trackers["loss_mask"].result()) == pytest.approx(
        float(alone.trackers["loss_mask"].result()), abs=1e-9
    )


def test_the_keys_of_the_images_decide_what_is_sampled():
    model, batch = make_detector(), make_batch()
    maps = model.maps(batch["views"][0], False)
    anchors, (logits, deltas) = model.anchors(maps), model.proposal_head(maps)
    proposals = propose(logits, deltas, anchors, batch["sizes"], model.settings, training=True)
    first, again = (model.sample(batch, proposals, anchors) for _ in range(2))
    other = model.sample({**batch, "keys": batch["keys"] + 1}, proposals, anchors)
    assert np.array_equal(first.anchor_labels, again.anchor_labels)
    assert not np.array_equal(first.anchor_labels, other.anchor_labels)
    one = {name: value[1:] for name, value in batch.items() if name != "views"}
    alone = model.sample(one, type(proposals)(*(part[1:] for part in proposals)), anchors)
    assert np.array_equal(alone.anchor_labels[0], first.anchor_labels[1])  # whatever else is in the batch


@pytest.mark.slow
def test_objects_that_fill_up_the_array_change_nothing():
    model, batch = make_detector(), make_batch()
    more = {
        "boxes": tf.pad(batch["boxes"], [[0, 0], [0, 3], [0, 0]]),
        "classes": tf.pad(batch["classes"], [[0, 0], [0, 3]], constant_values=-1),
        "masks": tf.pad(batch["masks"], [[0, 0], [0, 3], [0, 0], [0, 0]]),
    }
    overlaps = [
        Objects(b["boxes"], b["classes"]).overlaps(tf.constant([[[0.0, 0.0, 30.0, 30.0]]])).numpy()
        for b in (batch, {**batch, **more})
    ]
    np.testing.assert_array_equal(overlaps[0], overlaps[1][:, :4])
    losses = [model.compute_ssl_loss(b, training=False)[1] for b in (batch, {**batch, **more})]
    for name in ("loss_proposal_score", "loss_proposal_box"):
        assert float(losses[0][name]) == float(losses[1][name])


def test_detections_lie_in_the_image_and_have_masks():
    model, batch = make_detector(), make_batch()
    found, masks = model.detect(batch["views"][0], batch["sizes"])
    assert found.boxes.shape == (2, SETTINGS["detections_per_image"], 4)
    assert masks.shape == (2, 10, 6, 6)
    for boxes, (height, width) in zip(found.boxes.numpy(), batch["sizes"].numpy(), strict=True):
        assert (boxes >= 0).all()
        assert (boxes[:, 2] <= width).all()
        assert (boxes[:, 3] <= height).all()
    assert set(found.classes.numpy().ravel()) <= {-1, *range(CLASSES)}
    assert not make_detector(masks=False).detect(batch["views"][0], batch["sizes"])[1]


def test_numbers_that_are_not_finite_do_not_look_like_nothing_to_find():
    model, batch = make_detector(), make_batch()
    model.box_head.scores.bias.assign([np.nan] * (CLASSES + 1))
    found, _ = model.detect(batch["views"][0], batch["sizes"])
    assert np.isnan(found.scores.numpy()).all()


@pytest.mark.slow
def test_half_precision_gives_finite_losses():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make_detector()
        losses = losses_of(model, model.train_step, [0, 1])
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(np.isfinite(list(run.values())).all() for run in losses)


@pytest.mark.slow
def test_a_saved_detector_goes_on(tmp_path):
    model, batch = make_detector(), make_batch()
    model.train_step(dict(batch))
    model.save(tmp_path / "detector.keras")
    loaded = keras.saving.load_model(tmp_path / "detector.keras")
    assert isinstance(loaded, Detector)
    assert loaded.settings == model.settings
    for one in (model, loaded):
        one.reset_metrics()
    assert float(loaded.train_step(dict(batch))["loss"]) == float(model.train_step(dict(batch))["loss"])


def test_other_networks_are_refused():
    backbone = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()])
    with pytest.raises(UsageError, match="A detector needs a ResNet"):
        Detector(backbone, 3)
