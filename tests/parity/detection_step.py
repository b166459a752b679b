"""Checks a training step of the whole detector, the evaluation after it, and a second step."""

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf import ResNet
from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.detection import Detector
from simsiam_tf.detection.masks import paste_masks
from simsiam_tf.detection.matching import BACKGROUND, FOREGROUND, IGNORED
from simsiam_tf.detection.proposals import Objects, Sampled, propose
from simsiam_tf.networks import resnet
from simsiam_tf.optim import SGD, WarmupSteps
from tests.parity import reference

# The names of the losses in the reference, by ours.
LOSSES = {
    "loss_proposal_score": "loss_rpn_cls",
    "loss_proposal_box": "loss_rpn_loc",
    "loss_class": "loss_cls",
    "loss_box": "loss_box_reg",
    "loss_mask": "loss_mask",
}


class SamplingGiven(Detector):
    """Trains on the anchors and regions that a fixture names, and keeps what it computes on the way."""

    def given(self, fixture, regions=None):
        self.fixture, self.given_regions, self.seen = fixture, regions, {}
        return self

    def maps(self, images, training):
        self.seen["features"] = super().maps(images, training)
        return self.seen["features"]

    def regions(self, maps, boxes, training):
        self.seen["roi_features"] = super().regions(maps, boxes, training)
        return self.seen["roi_features"]

    def sample(self, batch, proposals, anchors):
        self.seen["proposals"] = proposals
        boxes, classes = batch["boxes"], batch["classes"]
        overlaps = Objects(boxes, classes).overlaps(anchors[tf.newaxis])
        best = tf.argmax(overlaps, axis=1)
        labels = np.full(best.shape, IGNORED)
        regions, of_regions, of_boxes, masked, masks, images = [], [], [], [], [], []
        for i, chosen in enumerate(self.fixture["sampling"]):
            labels[i, chosen["rpn_positive"]], labels[i, chosen["rpn_negative"]] = FOREGROUND, BACKGROUND
            live = tf.concat([proposals.boxes[i][proposals.live[i]], boxes[i][classes[i] >= 0]], axis=0)
            index = [*chosen["roi_foreground"], *chosen["roi_background"]]
            mine = tf.gather(live, index) if self.given_regions is None else self.given_regions[i]
            own = np.argmax(Objects(boxes[i : i + 1], classes[i : i + 1]).overlaps(mine[tf.newaxis])[0], axis=0)
            foreground, start = len(chosen["roi_foreground"]), sum(len(x) for x in regions)
            of_regions += [*classes.numpy()[i, own[:foreground]], *[self.num_classes] * len(chosen["roi_background"])]
            of_boxes.append(tf.gather(boxes[i], own))
            masked += range(start, start + foreground)
            masks += (i * boxes.shape[1] + own[:foreground]).tolist()
            images += [i] * foreground
            regions.append(mine)
        return Sampled(
            tf.constant(labels, tf.int32),
            tf.gather(boxes, best, batch_dims=1),
            regions,
            tf.constant(of_regions, tf.int32),
            tf.concat(of_boxes, axis=0),
            *(tf.constant(x, tf.int32) for x in (masked, masks, images)),
        )


def make_model(fixture):
    config = fixture["config"]
    kind = "basic" if config["block"] == "basic" else "bottleneck"
    resnet.DEPTHS["parity"] = (kind, tuple(config["blocks"]))
    stem = next(shape for name, shape in fixture["tensors"] if name == "conv1.weight")
    backbone = ResNet("parity", cifar_stem=stem[-1] == 3, width=config["width"] / 64)
    settings = settings_of(config, any(name.startswith("roi_heads.mask") for name, _ in fixture["tensors"]))
    model = SamplingGiven(backbone, config["num_classes"], settings)
    model.compile(optimizer_of(config, model))
    model.optimizer.build(model.trainable_variables)
    return model


def settings_of(config, masks):
    return DetectorConfig(
        masks=masks,
        anchor_sizes=tuple(map(float, config["anchor_sizes"])),
        anchor_ratios=tuple(map(float, config["anchor_ratios"])),
        proposals_before_nms=(config["pre_nms"],) * 2,
        proposals_after_nms=(config["post_nms"],) * 2,
        proposal_nms=config["rpn_nms"],
        anchors_per_image=config["rpn_per_image"],
        rois_per_image=config["roi_per_image"],
        foreground_rois=config["roi_fraction"],
        roi_size=config["pooler"],
        sampling_ratio=config["sampling_ratio"],
        mask_channels=config.get("mask_channels") or 256,
        score_threshold=config["score_threshold"],
        detection_nms=config["box_nms"],
        detections_per_image=config["detections_per_image"],
    )


def optimizer_of(config, model, undecayed=()):
    return SGD(WarmupSteps(config["lr"]), config["momentum"], config["weight_decay"], undecayed=undecayed)


def assign_initial_values(model, fixture):
    named, factors = reference.detector_variables_by_name(model), fixture["config"]["factors"]
    expected = [name for name, _ in fixture["tensors"] if not name.endswith("num_batches_tracked")]
    assert sorted(named) == sorted(expected)
    assert len(named) == len(model.variables)
    for name, shape in fixture["tensors"]:
        if name in named:
            value = reference.initial_value(name, shape, factors.get(name, 1.0))
            named[name].assign(reference.to_keras_layout(value))
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    return named


def rows_of(items, width, fill):
    """Puts lists of different lengths into one array, filled up with `fill`."""
    most = max(map(len, items))
    return np.array([[*item, *[fill] * (most - len(item))] for item in items])


def batch_of(fixture):
    config, truth, floatx = fixture["config"], fixture["ground_truth"], keras.config.floatx()
    height, width = config["canvas"]
    images = np.zeros([len(truth), height, width, 3])
    for i, (h, w) in enumerate(config["image_sizes"]):
        images[i, :h, :w] = reference.draw(f"{config['tag']}.x.{i}", (h, w, 3)).astype(np.float32)
    batch = {
        "views": (tf.constant(images, floatx),),
        "sizes": tf.constant(config["image_sizes"], tf.int32),
        "boxes": tf.constant(rows_of([t["boxes"] for t in truth], 4, [0.0] * 4), floatx),
        "classes": tf.constant(rows_of([t["classes"] for t in truth], 1, -1), tf.int32),
    }
    if "mask_runs" in truth[0]:
        masks = np.zeros([*batch["classes"].shape, height, width], bool)
        for i, (h, w) in enumerate(config["image_sizes"]):
            for j, runs in enumerate(truth[i]["mask_runs"]):
                masks[i, j, :h, :w] = reference.mask_of_runs(runs, h, w)
        batch["masks"] = tf.constant(np.packbits(masks, axis=-1))
    return batch


def near(ours, expected, tolerance):
    expected = np.asarray(expected, np.float64)
    ours = np.asarray(ours, np.float64).reshape(expected.shape)
    assert np.all(np.abs(ours - expected) <= tolerance * (1 + np.abs(expected))), np.abs(ours - expected).max()


def near_norms(ours, expected, tolerance=1e-8):
    """Compares norms by name, relative to 1e-3 + norm."""
    assert set(expected) <= set(ours)
    for name, norm in expected.items():
        assert abs(ours[name] - norm) <= tolerance * (1e-3 + norm), name


def check_step(fixture):
    try:
        _check_step(fixture)
    finally:
        del resnet.DEPTHS["parity"]


def _check_step(fixture):
    model = make_model(fixture).given(fixture)
    named, batch, expected = assign_initial_values(model, fixture), batch_of(fixture), fixture["expected"]
    check_forward_and_gradients(model, named, batch, expected)

    assign_initial_values(model, fixture)
    model.train_step(dict(batch))
    near_state(named, expected["final_mean_and_l2"])
    check_evaluation(model, batch, expected["evaluation_after_the_step"], fixture["config"])

    model.given(fixture, [tf.constant(r["boxes"], keras.config.floatx()) for r in expected["sampled_rois"]])
    model.reset_metrics()
    logs = model.train_step(dict(batch))
    for ours, theirs in LOSSES.items():
        if theirs in expected["second_step"]["losses"]:
            near(logs[ours], expected["second_step"]["losses"][theirs], 1e-10)
    near_state(named, expected["second_step"]["final_mean_and_l2"])

    norms = [v for v in model.norms_and_biases if v.path.endswith(("gamma", "beta"))]
    model.compile(optimizer_of(fixture["config"], model, norms))
    model.optimizer.build(model.trainable_variables)
    assign_initial_values(model, fixture)
    model.given(fixture).train_step(dict(batch))
    without = {name: float(tf.norm(v.value)) for name, v in named.items()}
    near_norms(without, expected["final_l2_without_decay_on_norms"])


def near_state(named, expected):
    values = {name: v.numpy().astype(np.float64) for name, v in named.items()}
    assert set(expected) == set(values)
    for name, (mean, norm) in expected.items():
        assert abs(np.linalg.norm(values[name]) - norm) <= 1e-8 * (1e-3 + norm), name
        assert abs(values[name].mean() - mean) <= 1e-8 * (1e-3 + norm), name


def check_forward_and_gradients(model, named, batch, expected):
    with tf.GradientTape() as tape:
        loss, parts = model.compute_ssl_loss(batch, training=True)
    seen = dict(model.seen)
    features, of_regions = seen["features"], seen["roi_features"]
    trained = model.trainable_variables
    *gradients, of_features, of_pooled = tape.gradient(loss, [*trained, features, of_regions])
    near(loss, expected["total_loss"], 1e-10)
    for ours, theirs in LOSSES.items():
        if theirs in expected["losses"]:
            near(parts[ours], expected["losses"][theirs], 1e-10)
    assert list(features.shape[1:3]) == expected["feature_height_width"]
    near(tf.norm(features), expected["l2"]["features"], 1e-10)
    near(tf.norm(of_regions), expected["l2"]["roi_features"], 1e-10)
    near(tf.transpose(features, [0, 3, 1, 2]).numpy().ravel()[:8], expected["features_nchw_first_8"], 1e-10)
    logits, deltas = model.proposal_head(features)
    assert logits.shape[1] == expected["num_anchors"]
    scores, moves = model.box_head(of_regions)
    found = {"rpn_logits": logits, "rpn_deltas": deltas, "scores": scores, "box_deltas": moves}
    if model.mask_head is not None:
        classes = np.concatenate([r["classes"] for r in expected["sampled_rois"]])
        foreground = tf.constant(np.flatnonzero(classes < model.num_classes))
        found["mask_logits"] = tf.transpose(model.mask_head(tf.gather(of_regions, foreground)), [0, 3, 1, 2])
    for name, value in found.items():
        near(tf.norm(value), expected["l2"][name], 1e-10)
        near(value.numpy().ravel()[:8], expected[f"{name}_first_8"], 1e-10)
    for i, wanted in enumerate(expected["proposals"]):
        live = seen["proposals"].live.numpy()[i]
        assert seen["proposals"].anchors.numpy()[i][live].tolist() == wanted["anchor_index"]
        near(seen["proposals"].boxes.numpy()[i][live], wanted["boxes"], 1e-10)
    names = {id(v): name for name, v in named.items()}
    norms = {names[id(v)]: float(tf.norm(g)) for v, g in zip(trained, gradients, strict=True)}
    assert set(norms) == set(expected["grad_l2"])
    near_norms(norms, expected["grad_l2"])
    of_tensors = {"features": float(tf.norm(of_features)), "roi_features": float(tf.norm(of_pooled))}
    near_norms(of_tensors, {name: expected[f"grad_l2_of_{name}"] for name in of_tensors})


def check_evaluation(model, batch, expected, config):
    images, sizes = batch["views"][0], batch["sizes"]
    found, masks = model.detect(images, sizes)
    maps = model.maps(images, False)
    near(tf.norm(maps), expected["features_l2"], 1e-8)
    anchors, (logits, deltas) = model.anchors(maps), model.proposal_head(maps)
    proposals = propose(logits, deltas, anchors, sizes, model.settings, training=False)
    for i, wanted in enumerate(expected["images"]):
        live = proposals.live.numpy()[i]
        assert live.sum() == wanted["num_proposals"]
        near(np.linalg.norm(proposals.boxes.numpy()[i][live]), wanted["proposals_l2"], 1e-8)
        count = int((found.classes[i].numpy() >= 0).sum())
        assert found.classes.numpy()[i, :count].tolist() == wanted["classes"]
        assert found.regions.numpy()[i, :count].tolist() == wanted["roi_index"]
        near(found.boxes[i, :count], wanted["boxes"], 1e-8)
        near(found.scores[i, :count], wanted["scores"], 1e-8)
        if masks is not None:
            near(np.sqrt((masks.numpy()[i, :count] ** 2).sum((1, 2))), wanted["mask_probabilities_l2"], 1e-8)
            pasted = paste_masks(masks[i, :count], found.boxes[i, :count], *config["image_sizes"][i]).numpy() >= 0.5
            assert np.abs(pasted.sum((1, 2)) - np.array(wanted["pasted_mask_pixels"])).max() <= 1


def check_step_in_float32(fixture):
    """Compares losses and gradients of given regions, within ten times what the reference strays."""
    expected, spread = fixture["expected"], fixture["float32_spread"]
    try:
        regions = [tf.constant(r["boxes"], tf.float32) for r in expected["sampled_rois"]]
        model = make_model(fixture).given(fixture, regions)
        named = assign_initial_values(model, fixture)
        with tf.GradientTape() as tape:
            loss, parts = model.compute_ssl_loss(batch_of(fixture), training=True)
        gradients = tape.gradient(loss, model.trainable_variables)
    finally:
        del resnet.DEPTHS["parity"]
    for ours, theirs in LOSSES.items():
        if theirs in expected["losses"]:
            assert abs(float(parts[ours]) - expected["losses"][theirs]) <= 10 * spread["loss"][theirs] + 1e-5, theirs
    names = {id(v): name for name, v in named.items()}
    norms = {names[id(v)]: float(tf.norm(g)) for v, g in zip(model.trainable_variables, gradients, strict=True)}
    near_norms(norms, expected["grad_l2"], 10 * spread["grad_l2_relative"] + 1e-4)
