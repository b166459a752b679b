"""Boxes, anchors, matching, RoIAlign, NMS, losses, inference and training steps against an independent implementation.

Every file `detection_*` of the parity folder is one test, named by the file. Its kind is the second word of its name.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.detection import boxes as box_ops
from simsiam_tf.detection.anchors import cell_anchors, grid_anchors
from simsiam_tf.detection.detections import detections, rescale
from simsiam_tf.detection.losses import box_losses, mask_loss, proposal_losses
from simsiam_tf.detection.masks import mask_targets, paste_masks
from simsiam_tf.detection.matching import match
from simsiam_tf.detection.nms import best_first, nms
from simsiam_tf.detection.roi_align import axis_weights, roi_align
from tests.parity import reference
from tests.parity.detection_ap import check_ap
from tests.parity.detection_step import check_step, check_step_in_float32

FIXTURES = reference.fixtures("detection_*")


def f64(x, width=4):
    return tf.constant(np.asarray(x, np.float64).reshape(-1, width) if len(x) == 0 else np.asarray(x, np.float64))


def near(ours, expected, tolerance=1e-10):
    expected = np.asarray(expected, np.float64)
    ours = np.asarray(ours).reshape(expected.shape)
    assert np.all(np.abs(ours - expected) <= tolerance * (1 + np.abs(expected))), np.abs(ours - expected).max()


def check_boxes(data):
    near(box_ops.iou(f64(data["iou"]["a"]), f64(data["iou"]["b"])), data["iou"]["expected"])
    for case in data["encode"]:
        weights = tuple(case["weights"])
        deltas = box_ops.encode(f64(case["src"]), f64(case["dst"]), weights)
        near(deltas, case["expected"])
        near(box_ops.decode(f64(case["src"]), deltas, weights), case["decoded_again"])
    for case in data["decode"]:
        source, deltas = f64(case["src"]), f64(case["deltas"])
        deltas = tf.reshape(deltas, [len(case["src"]), -1, 4])
        near(box_ops.decode(source[:, tf.newaxis], deltas, tuple(case["weights"])), case["expected"])
    case = data["clip"]
    clipped = box_ops.clip(f64(case["boxes"]), tf.constant(case["height_width"]))
    near(clipped, case["expected"])
    for name in case:
        if name.startswith("nonempty_"):
            assert box_ops.are_larger(clipped, float(name.rpartition("_")[2])).numpy().tolist() == case[name]


def check_anchors(data):
    cells = cell_anchors(data["sizes"], data["ratios"])
    near(cells, data["cell"])
    for grid in data["grids"]:
        near(grid_anchors(*grid["feature_height_width"], data["stride"], cells), grid["expected"])


def check_matcher(data):
    for case in data:
        overlaps = tf.constant(np.array(case["iou"], np.float64).reshape(-1, case["num_predictions"]))
        index, label = match(overlaps, case["thresholds"], case["labels"], case["low_quality"])
        assert index.numpy().tolist() == case["expected_index"], case["name"]
        assert label.numpy().tolist() == case["expected_label"], case["name"]


def check_roialign(data):
    cases = json.loads(str(data["cases"]))
    cases = cases["cases"] if isinstance(cases, dict) else cases
    features, rois = data["features"].transpose(0, 2, 3, 1), data["rois"]
    for case in cases:
        options = case["output_size"], case["spatial_scale"], case["sampling_ratio"]
        expected = data[f"{case['key']}.expected"].transpose(0, 2, 3, 1)
        upstream, gradient = data[f"{case['key']}.G"].transpose(0, 2, 3, 1), data[f"{case['key']}.grad"]
        for image in range(len(features)):
            mine, x = rois[:, 0] == image, tf.constant(features[image])
            with tf.GradientTape() as tape:
                tape.watch(x)
                pooled = roi_align(x, tf.constant(rois[mine, 1:]), *options)
                total = tf.reduce_sum(pooled * upstream[mine])
            near(pooled, expected[mine])
            near(tape.gradient(total, x), gradient[image].transpose(1, 2, 0))


def check_nms(data):
    for case in data["nms"]:
        scores = f64(case["scores"], 1)
        order, live = best_first(scores[tf.newaxis], tf.ones([1, len(scores)], tf.bool), len(scores))
        groups = tf.constant(case["classes"], tf.int32)
        boxes = tf.gather(f64(case["boxes"]), order)
        kept, found = nms(boxes, live, case["threshold"], len(scores), tf.gather(groups, order))
        assert order.numpy()[0][kept.numpy()[found.numpy()]].tolist() == case["expected_keep"], case["name"]
    for case in data["rpn_proposals"]:
        logits, boxes = f64(case["logits"], 1)[tf.newaxis], f64(case["boxes"])
        before = min(case["pre_nms"], logits.shape[1])
        index, live = best_first(logits, tf.ones_like(logits, tf.bool), before)
        clipped = box_ops.clip(tf.gather(boxes, index), tf.constant(case["height_width"]))
        live &= box_ops.are_larger(clipped, case["min_size"])
        kept, found = nms(clipped, live, case["threshold"], case["post_nms"])
        kept = kept.numpy()[found.numpy()]
        assert index.numpy()[0][kept].tolist() == case["expected_index"], case["name"]
        near(clipped.numpy()[0][kept], case["expected_boxes"])
        near(logits.numpy()[0][index.numpy()[0][kept]], case["expected_logits"])


def check_losses(data):
    for name in [name for name in data if name.startswith("rpn")]:
        case = data[name]
        logits, deltas = f64(case["logits"]), f64(case["deltas"])
        anchors, objects = f64(case["anchors"]), f64(case["matched_gt_boxes"])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch((logits, deltas))
            labels = tf.constant(case["labels"])
            of_scores, of_boxes = proposal_losses(
                logits, deltas, anchors, labels, objects, case["batch_size_per_image"]
            )
        wanted = case["expected"]
        near(of_scores, wanted["loss_rpn_cls"])
        near(of_boxes, wanted["loss_rpn_loc"])
        near(tape.gradient(of_scores, logits), wanted["grad_logits"])
        near(tape.gradient(of_boxes, deltas), wanted["grad_deltas"])
    for name in [name for name in data if name.startswith("box")]:
        case = data[name]
        scores, deltas = f64(case["scores"]), f64(case["deltas"])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch((scores, deltas))
            classes, objects = tf.constant(case["classes"]), f64(case["matched_gt_boxes"])
            of_scores, of_boxes = box_losses(scores, deltas, f64(case["proposals"]), classes, objects)
        wanted = case["expected"]
        near(of_scores, wanted["loss_cls"])
        near(of_boxes, wanted["loss_box_reg"])
        near(tape.gradient(of_scores, scores), wanted["grad_scores"])
        near(tape.gradient(of_boxes, deltas), wanted["grad_deltas"])
    for case in data["mask"]:
        check_mask_loss(case)


def check_mask_loss(case):
    size, (height, width), boxes = case["size"], case["height_width"], f64(case["boxes"])
    masks = np.stack([reference.mask_of_runs(runs, height, width) for runs in case["mask_runs"]])
    packed, n = tf.constant(np.packbits(masks, axis=-1)), len(masks)
    sizes = tf.constant([case["height_width"]] * n)
    targets = mask_targets(packed, tf.range(n), sizes, boxes, size)
    expected = np.array([[list(map(int, row)) for row in rows] for rows in case["expected_targets"]])
    assert np.array_equal(targets.numpy(), expected)
    for values, mask, box in zip(case["expected_values_before_threshold"], masks, boxes, strict=False):
        rows = axis_weights(box[tf.newaxis, 1], box[tf.newaxis, 3], height, size, 1.0)[0]
        columns = axis_weights(box[tf.newaxis, 0], box[tf.newaxis, 2], width, size, 1.0)[0]
        near(rows.numpy() @ mask.astype(np.float64) @ columns.numpy().T, values)
    by_class = reference.drawn_by_rule(case["logits_rule"], n=n, K=case["num_classes"], M=size)
    logits = tf.constant(by_class.transpose(0, 2, 3, 1))
    classes = tf.constant(case["classes"])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = mask_loss(logits, classes, targets, tf.ones([n], tf.bool), tf.constant(float(n), tf.float64))
    near(loss, case["expected_loss"])
    gradient = tape.gradient(loss, logits).numpy()
    near(np.linalg.norm(gradient), case["expected_grad_l2"])
    for i, plane in enumerate(case["expected_grad_of_the_class_planes"]):
        near(gradient[i, :, :, case["classes"][i]], plane)


def check_inference(data):
    for case in data["detections"]:
        config = DetectorConfig(
            score_threshold=case["score_threshold"],
            detection_nms=case["nms_threshold"],
            detections_per_image=case["detections_per_image"],
        )
        k = case["num_classes"]
        scores, deltas = f64(case["scores"], k + 1)[tf.newaxis], f64(case["deltas"], 4 * k)[tf.newaxis]
        regions, sizes = f64(case["proposals"])[tf.newaxis], tf.constant([case["height_width"]])
        live = tf.ones(tf.shape(regions)[:2], tf.bool)
        found = detections(scores, deltas, regions, live, sizes, config)
        count = int(tf.reduce_sum(tf.cast(found.classes >= 0, tf.int32)))
        wanted = case["expected"]
        assert found.classes.numpy()[0, :count].tolist() == wanted["classes"], case["name"]
        assert found.regions.numpy()[0, :count].tolist() == wanted["roi_index"], case["name"]
        near(found.boxes[0, :count], wanted["boxes"])
        near(found.scores[0, :count], wanted["scores"])
        rescaled = rescale(found.boxes, sizes, tf.constant([case["output_height_width"]]))[0, :count]
        near(rescaled, case["expected_rescaled_boxes"])
        assert box_ops.are_larger(rescaled, 0.0).numpy().tolist() == case["expected_rescaled_nonempty"]
    for case in data["paste"]:
        check_pasting(case)


def check_pasting(case):
    boxes, (height, width) = f64(case["boxes"]), case["height_width"]
    q = reference.pasted_probabilities(case["probabilities_rule"], len(boxes), case["size"])
    near(q[0, 0], case["probabilities_first_row"])
    values = paste_masks(tf.constant(q), boxes, height, width).numpy()
    for mask, runs in zip(values, case["expected_runs"], strict=True):
        assert np.array_equal(mask >= case["threshold"], reference.mask_of_runs(runs, height, width))
    near(np.sqrt((values**2).sum((1, 2))), case["expected_l2_of_values"])
    near(values[0][[8, 20]], case["expected_values_of_rows_8_and_20_of_mask_0"])


CHECKS = {
    "anchors": check_anchors,
    "ap": check_ap,
    "boxes": check_boxes,
    "inference": check_inference,
    "losses": check_losses,
    "matcher": check_matcher,
    "nms": check_nms,
    "roialign": check_roialign,
    "step": check_step,
}


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FIXTURES])
def test_detection_equals_the_reference(path, float64):
    kind = path.stem.split("_")[1]
    data = np.load(path) if path.suffix == ".npz" else reference.load(path)
    CHECKS[kind](data)


STEPS = [path for path in FIXTURES if path.stem.startswith("detection_step")]


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.stem}-float32") for path in STEPS])
def test_a_step_in_float32_strays_as_far_as_the_reference(path):
    check_step_in_float32(reference.load(path))
