"""Annotations in COCO's format."""

import json
import pathlib
import random

import numpy as np
from PIL import Image

from tests.data.objects.coco_files import content
from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import Target, WrongError


class Coco(Target):
    """Reads a JSON file of objects, and the images that it names."""

    name = "coco"

    def load(self, folder: pathlib.Path) -> None:
        from simsiam_tf.config.detection_data import DetectionDataConfig
        from simsiam_tf.data.objects import opening

        self._opening, self._config = opening, DetectionDataConfig
        self._value = content()
        self._content = json.dumps(self._value).encode()

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        (folder / "images").mkdir()
        for image in self._value["images"]:
            Image.new("RGB", (60, 40)).save(folder / "images" / image["file_name"])
        changed, done = mutate_json(self._value, self._content, chance)
        (folder / "objects.json").write_bytes(changed)
        return done

    def read(self, folder: pathlib.Path) -> str:
        config = self._config(
            dataset="coco",
            data_dir=str(folder / "images"),
            train_annotations=str(folder / "objects.json"),
            max_bad_fraction=0.5,
        )
        annotated = self._opening.open_annotated(config, "train")
        check_objects(annotated, folder / "images")
        return "read, some left out" if annotated.broken else "read"


def check_objects(annotated, folder: pathlib.Path) -> None:
    """Raises a WrongError if a box is not one, or an image lies elsewhere."""
    from simsiam_tf.data.objects.resize import full_masks

    root = folder.resolve()
    files = annotated.source.files
    for position, objects in enumerate(annotated.objects):
        if root not in pathlib.Path(files.locate(position)).resolve().parents:
            raise WrongError(f"an image outside of the folder: {files.locate(position)!r}")
        sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
        if not (np.isfinite(objects.boxes).all() and (sides > 0).all() and np.isfinite(objects.areas).all()):
            raise WrongError(f"boxes {objects.boxes.tolist()}")
        if len(objects) and not 0 <= objects.classes.min() <= objects.classes.max() < len(annotated.classes):
            raise WrongError(f"classes {objects.classes.tolist()}")
        if objects.size is not None and (objects.boxes[:, 2:] > np.array(objects.size)[::-1]).any():
            raise WrongError("a box beyond its image")
        if objects.masks is not None and objects.size is not None and max(objects.size) < 2000:
            masks = full_masks(objects)
            if masks.shape != (len(objects), *objects.size) or masks.max(initial=0) > 1:
                raise WrongError(f"masks {masks.shape} of an image {objects.size}")
    annotated.sizes, annotated.fingerprint  # noqa: B018 - both must be possible
