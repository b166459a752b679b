"""Writes small sets in the format of COCO."""

import copy
import json

import numpy as np
from PIL import Image

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.opening import open_annotated

SIZES = {3: (40, 60), 5: (60, 40), 9: (50, 50), 11: (40, 64)}  # height, width
CONTENT = {
    "images": [
        {"id": i, "file_name": f"{i}.png", "height": h, "width": w} for i, (h, w) in reversed(list(SIZES.items()))
    ],
    "categories": [{"id": 7, "name": "dog"}, {"id": 2, "name": "cat"}],
    "annotations": [
        {
            "id": 100,
            "image_id": 3,
            "category_id": 7,
            "bbox": [10, 5, 20, 10.5],
            "area": 105,
            "iscrowd": 0,
            "segmentation": [[10, 5, 30, 5, 30, 8, 15, 8, 15, 15.5, 10, 15.5]],
        },
        {
            "id": 101,
            "image_id": 3,
            "category_id": 2,
            "bbox": [0, 0, 3, 40],
            "area": 120,
            "iscrowd": 1,
            "segmentation": {"size": [40, 60], "counts": [0, 120, 2280]},
        },
        {
            "id": 102,
            "image_id": 5,
            "category_id": 2,
            "bbox": [-2, 3, 10, 8],
            "iscrowd": 0,
            "segmentation": [[-2, 3, 8, 3, 8, 11, -2, 11]],
        },
        {
            "id": 103,
            "image_id": 11,
            "category_id": 2,
            "bbox": [4, 4, 2, 8],
            "iscrowd": 0,
            "segmentation": {"size": [40, 64], "counts": [164, 8, 32, 8, 2348]},
        },
    ],
}


def content():
    return copy.deepcopy(CONTENT)


def write_coco(folder, annotations, images="images", name="objects.json"):
    """Writes the images and the JSON file; returns the path of the file."""
    (folder / images).mkdir(parents=True, exist_ok=True)
    for i, (height, width) in SIZES.items():
        if (folder / images / f"{i}.png").exists():
            continue
        levels = np.random.default_rng(i).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(levels).save(folder / images / f"{i}.png")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(annotations))
    return path


def open_coco_files(folder, annotations, **settings):
    """Writes the set and opens it."""
    path = write_coco(folder, annotations)
    files = {"data_dir": str(folder / "images"), "train_annotations": str(path)}
    return open_annotated(DetectionDataConfig(dataset="coco", **files, **settings), "train")
