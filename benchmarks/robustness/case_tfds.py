"""Prepares small TFDS sets for cases.py, each with one feature that an earlier tree got wrong."""

import os
import pathlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np

COUNT = 12


def numbers(shape: tuple[int, ...], dtype: str, top: float) -> np.ndarray:
    """Returns noise of a shape and type, from 0 to `top`."""
    return np.random.default_rng(0).uniform(0, top, (COUNT, *shape)).astype(dtype)


IMAGES = numbers((32, 32, 3), "uint8", 255)


def tfds_set(make_features: Callable[[], Mapping[str, object]]) -> Callable[[pathlib.Path], None]:
    """Returns a function that prepares the set `odd` in a folder.

    Args:
        make_features: returns, by name, the kind of a feature (see `_kinds`) and the values of its examples.
    """

    def make(folder: pathlib.Path) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow_datasets as tfds  # takes seconds, and most cases do without

        values = make_features()

        class Odd(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            """The set."""

            VERSION = tfds.core.Version("1.0.0")

            def _info(self) -> tfds.core.DatasetInfo:
                return tfds.core.DatasetInfo(builder=self, features=_described(values, _kinds()))

            def _split_generators(self, dl_manager: object) -> dict[str, object]:
                return {split: self._generate_examples() for split in ("train", "test")}

            def _generate_examples(self) -> Iterator[tuple[int, dict[str, object]]]:
                for number in range(COUNT):
                    yield number, _part(values, number)

        Odd(data_dir=folder / "data", file_format="tfrecord").download_and_prepare()

    return make


def _kinds() -> Mapping[str, object]:
    import tensorflow_datasets as tfds

    return {
        "image": tfds.features.Image(shape=(32, 32, 3)),
        "float image": tfds.features.Tensor(shape=(32, 32, 3), dtype=np.float32),
        "deep image": tfds.features.Image(shape=(32, 32, 3), dtype=np.uint16, encoding_format="png"),
        "class": tfds.features.ClassLabel(num_classes=3),
        "classes": tfds.features.Sequence(tfds.features.ClassLabel(num_classes=3)),
        "number": tfds.features.Scalar(np.int64),
    }


def _described(values: Mapping[str, object], kinds: Mapping[str, object]) -> object:
    import tensorflow_datasets as tfds

    features = {
        name: _described(value, kinds) if isinstance(value, dict) else kinds[value[0]] for name, value in values.items()
    }
    return tfds.features.FeaturesDict(features)


def _part(values: Mapping[str, object], number: int) -> dict[str, object]:
    return {
        name: _part(value, number) if isinstance(value, dict) else value[1][number] for name, value in values.items()
    }


CLASSES = ("class", [i % 3 for i in range(COUNT)])
several_labels = tfds_set(lambda: {"image": ("image", IMAGES), "label": ("classes", [[0, 2]] * COUNT)})
pair_of_images = tfds_set(
    lambda: {"image": {"left": ("image", IMAGES), "right": ("image", 255 - IMAGES)}, "label": CLASSES}
)
image_of_other_name = tfds_set(lambda: {"img": ("image", IMAGES), "label": CLASSES})
label_in_group = tfds_set(lambda: {"image": ("image", IMAGES), "style": {"name": CLASSES}})
numbers_as_labels = tfds_set(
    lambda: {"image": ("image", IMAGES), "label": ("number", [(1990, 2010, 2000)[i % 3] for i in range(COUNT)])}
)
ordinary = tfds_set(lambda: {"image": ("image", IMAGES), "label": CLASSES})
float_images = tfds_set(lambda: {"image": ("float image", numbers((32, 32, 3), "float32", 1)), "label": CLASSES})
deep_images = tfds_set(lambda: {"image": ("deep image", numbers((32, 32, 3), "uint16", 4095)), "label": CLASSES})
