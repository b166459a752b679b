"""Average precision against the reference: COCO's as pycocotools gives it, Pascal VOC's as Detectron2 does."""

import numpy as np

from simsiam_tf.detection.scores.coco_ap import coco_ap
from simsiam_tf.detection.scores.records import Detections, TrueObjects
from simsiam_tf.detection.scores.voc_ap import voc_ap, voc_curves


def columns(entries: list[dict], image: int, *names: str) -> dict[str, np.ndarray]:
    chosen = [entry for entry in entries if entry["image"] == image]
    return {name: np.array([entry[name] for entry in chosen]) for name in names}


def records(data: dict) -> tuple[list[TrueObjects], list[Detections]]:
    truth, detections = [], []
    for image in range(data["images"]):
        true = columns(data["ground_truth"], image, "box", "class", "crowd", "difficult")
        boxes, crowd, difficult = true["box"].reshape(-1, 4), true["crowd"].astype(bool), true["difficult"].astype(bool)
        truth.append(TrueObjects(boxes, true["class"].astype(int), crowd, difficult))
        found = columns(data["detections"], image, "box", "score", "class")
        boxes = found["box"].reshape(-1, 4)
        detections.append(Detections(boxes, found["score"].astype(float), found["class"].astype(int)))
    return truth, detections


def raw(value):
    """The reference's -1 in place of our None."""
    if isinstance(value, list):
        return [raw(part) for part in value]
    return -1.0 if value is None else value


def assert_close(value, expected):
    np.testing.assert_allclose(np.asarray(value, np.float64), np.asarray(expected, np.float64), rtol=0, atol=1e-9)


def check_ap(data: dict) -> None:
    check_coco(data)
    check_voc(data)


def check_coco(data: dict) -> None:
    result = coco_ap(*records(data), data["classes"])
    for name, expected in data["expected_coco"].items():
        assert_close(raw(result[name]), expected)


def check_voc(data: dict) -> None:
    truth, detections = records(data)
    expected = data["expected_voc"]
    for metric in ("11_point", "area"):
        result = voc_ap(truth, detections, data["classes"], metric)
        for name, value in expected[metric].items():
            assert_close(result[name], value)
    curves = voc_curves(truth, detections, data["classes"])
    assert sorted(curves) == sorted(map(int, expected["per_threshold_and_class"]))
    for threshold, classes in expected["per_threshold_and_class"].items():
        assert len(curves[int(threshold)]) == len(classes)
        for curve, values in zip(curves[int(threshold)], classes, strict=True):
            for name, value in values.items():
                assert_close(getattr(curve, name), value)
