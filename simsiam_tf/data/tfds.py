"""Reads data sets of TensorFlow Datasets (TFDS): small ones into memory, large ones record by record."""

import difflib
import io
import typing
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.encoded import EncodedImages
from simsiam_tf.data.features import feature_at, is_plain, only_image, paths, rgb_of, text_of, value_at
from simsiam_tf.data.pixels import UnknownValuesError, check_sixteen_bits
from simsiam_tf.data.records import Records
from simsiam_tf.data.tfds_code import check_harmless
from simsiam_tf.data.tfds_index import find_records
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import expand, is_folder

# Names that are given often, by which a misspelt one is known.
_USUAL = ("folder", "shards", "shapes", "made", "cifar10", "cifar100", "imagenet2012")
# The images of which the values of 16 bits are looked at, where all would take long.
_LOOKED_AT = 32
# A TFDS builder. Its real type would need the slow import of TFDS.
Builder = Any


@typing.final
class RecordImages(EncodedImages):
    """Reads the images in the files of a TFDS split, in any order.

    Args:
        builder: the TFDS builder of a data set that is prepared.
        records: the records of the split.
        feature: the path of the image among the features, such as `image`.
        names: the file name of each image; `None` names images by their positions.
        unreadable: the record of the split's unreadable images.
        pixels: the meaning of the pixels.

    Attributes:
        is_plain: whether the images are stored as files that Pillow decodes to the same numbers.
    """

    def __init__(
        self,
        builder: Builder,
        records: Records,
        feature: str,
        names: Sequence[str] | None,
        unreadable: UnreadableImages,
        pixels: Pixels | None = None,
    ):
        self._records = records
        super().__init__(len(self._records), unreadable, pixels)
        self._names, self._feature, self._features = names, feature, builder.info.features
        # TFDS stores numbers other than uint8 in ways of its own, which only TFDS can decode.
        self.is_plain = is_plain(feature_at(builder.info.features, feature))
        self._full_name = builder.info.full_name

    def load(self, position: int) -> bytes:
        """Reads the encoded bytes of the image at a position."""
        record = self._records[position]
        if self.is_plain:
            return tf.train.Example.FromString(record).features.feature[self._feature].bytes_list.value[0]
        content = io.BytesIO()
        Image.fromarray(rgb_of(self._decoded(record), self.pixels)).save(content, "PPM")
        return content.getvalue()

    def values_at(self, position: int) -> np.ndarray:
        """Reads the values of the image at a position as the data set holds them, `[H, W, C]`."""
        return self._decoded(self._records[position])

    def _decoded(self, record: bytes) -> np.ndarray:
        return value_at(self._features.deserialize_example(record), self._feature).numpy()

    def locate(self, position: int) -> str:
        """Returns the split and position of an image."""
        return f"{self.unreadable.source}, example {position}"

    def name(self, position: int) -> str:
        """Returns the file name of an image, or its position if the data set has no file names."""
        return str(position) if self._names is None else self._names[position]

    def fingerprint(self) -> str:
        """Returns the full name of the data set, which includes its version."""
        return self._full_name if self._feature == "image" else f"{self._full_name}:{self._feature}"


class TFDSImages:
    """Gives the images and labels of a data set's splits.

    Args:
        config: the settings of the data set.

    Raises:
        UsageError: if the data set cannot be used, as for `open_builder`, or lacks the features that are asked for.
    """

    def __init__(self, config: DataConfig) -> None:
        self.builder, self._config = open_builder(config), config
        features = self.builder.info.features
        self._image = config.image_feature or only_image(features, config.dataset)
        image = feature_at(features, self._image)
        check(
            image is not None and len(image.shape or ()) == 3,
            "--image_feature must be a feature that is an image.",
            f"{self._image}; the features are {', '.join(paths(features))}",
        )
        self._label = config.label_feature or ("label" if "label" in features else "")
        check(
            not self._label or feature_at(features, self._label) is not None,
            f"--label_feature must be a feature of {config.dataset}.",
            f"{self._label}; the features are {', '.join(paths(features))}",
        )

    @property
    def shape(self) -> tuple[int | None, int | None, int | None]:
        """Returns the height, width and channels of all images; `None` where they differ."""
        return feature_at(self.builder.info.features, self._image).shape

    @property
    def streams(self) -> bool:
        """Returns whether TFDS can read the data set in its order, which it cannot for ArrayRecord."""
        return "array_record" not in str(self.builder.info.file_format).lower()

    def count(self, split: str) -> int:
        """Counts the images of a split.

        Raises:
            UsageError: if there is no such split, or it is empty.
        """
        try:
            count = self.builder.info.splits[split].num_examples
        except (KeyError, ValueError) as error:
            known = ", ".join(self.builder.info.splits)
            raise UsageError(
                f"The data set {self._config.dataset} has the splits {known}. Received: {split!r}."
            ) from error
        check(count > 0, f"A split of {self._config.dataset} must hold images.", f"{split!r}, which holds none")
        return count

    def read_all(self, split: str) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
        """Reads a split of images of one size into memory.

        Returns:
            The images, `[N, H, W, 3] uint8`; their labels, `[N] int64` or `None`; the names of the classes.
        """
        labelled = self._has_scalar_label

        def chosen(example: Any) -> tuple[tf.Tensor, tf.Tensor]:
            label = value_at(example, self._label) if labelled else tf.constant(-1, tf.int64)
            return value_at(example, self._image), label

        dataset = self.builder.as_dataset(split=split, shuffle_files=False).map(
            chosen, num_parallel_calls=tf.data.AUTOTUNE
        )
        images, labels, where = [], [], f"{self._config.dataset}/{split}"
        extrema = []
        for values, label in dataset.batch(1024).as_numpy_iterator():
            try:
                images.append(rgb_of(values, self._config.pixels))
            except UnknownValuesError as error:
                raise UnknownValuesError(f"{str(error).rstrip('.')}, in {where}.") from None
            extrema.append((values.min(), values.max()))
            labels.append(label)
        self._check_sixteen_bits(extrema, where)
        return np.concatenate(images), *self._classes(np.concatenate(labels))

    def open_records(
        self, split: str, unreadable: UnreadableImages
    ) -> tuple[RecordImages, np.ndarray | None, tuple[str, ...]]:
        """Opens a split that is too large for memory, or whose images differ in size.

        Returns:
            The images; their labels, `[N] int64` or `None`; the names of the classes.

        Raises:
            UsageError: if the data set is stored neither as TFRecord files nor as ArrayRecord files.
        """
        label = feature_at(self.builder.info.features, self._label) if self._has_scalar_label else None
        found = find_records(self.builder, split, self._config, self._label, label)
        labels, classes = (None, ()) if found.labels is None else self._classes(found.labels)
        pixels = self._config.pixels
        images = RecordImages(self.builder, found.records, self._image, found.names, unreadable, pixels)
        if not pixels.value_range and not images.is_plain:
            first = map(images.values_at, range(min(_LOOKED_AT, images.num_examples)))
            self._check_sixteen_bits(
                [(values.min(), values.max()) for values in first], f"{self._config.dataset}/{split}"
            )
        return images, labels, classes

    def _check_sixteen_bits(self, extrema: Sequence[tuple[Any, Any]], where: str) -> None:
        """Checks the least and the greatest value of images of 16 bits, as `check_sixteen_bits`."""
        if feature_at(self.builder.info.features, self._image).np_dtype == np.uint16:
            lows, highs = np.transpose(extrema)
            check_sixteen_bits(float(lows.min()), float(highs.max()), self._config.pixels, where)

    @property
    def _has_scalar_label(self) -> bool:
        """Returns whether each example has one label, and not a list of them."""
        label = feature_at(self.builder.info.features, self._label) if self._label else None
        return label is not None and label.shape == () and np.dtype(label.np_dtype).kind != "f"

    def _classes(self, labels: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """Returns labels `[N] int64` and the names of their classes; `None` and `()` if the images have no labels.

        TFDS marks a split without labels by -1. Labels that have no names are named by their values.
        """
        if not self._has_scalar_label or (labels.dtype.kind == "i" and labels.min(initial=0) < 0):
            return None, ()
        count = getattr(feature_at(self.builder.info.features, self._label), "num_classes", None)
        if count:
            names = feature_at(self.builder.info.features, self._label).names
            return labels.astype(np.int64), tuple(names[:count])
        values, numbers = np.unique(labels, return_inverse=True)
        if len(values) < 2:
            return None, ()
        return numbers.reshape(-1).astype(np.int64), tuple(map(text_of, values.tolist()))


def open_builder(config: DataConfig) -> Builder:
    """Opens the TFDS builder of a data set, and prepares the data set first if `--download` allows it.

    Args:
        config: the settings of the data set.

    Raises:
        UsageError: if TFDS does not know the data set, if it is missing and may not be downloaded, or if preparing it
            fails.
    """
    import tensorflow_datasets as tfds  # a slow import that only TFDS users should wait for

    data_dir = expand(config.data_dir) if config.data_dir else None
    if data_dir is not None and not is_folder(data_dir):
        raise UsageError(f"--data_dir must be an existing directory. Received: {data_dir}.")
    check_harmless(config.dataset, data_dir or str(tfds.core.constants.DATA_DIR))
    try:
        builder = tfds.builder(config.dataset, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, ImportError) as error:
        alike = difflib.get_close_matches(config.dataset, _USUAL, 1)
        hint = f"; did you mean {alike[0]}?" if alike else "."
        raise UsageError(
            f"--dataset must be a name in TensorFlow Datasets, 'folder', 'shards', 'shapes' or 'made'{hint} "
            f"Received: {config.dataset!r}."
        ) from error
    if not builder.data_path.exists():
        if not config.download:
            raise UsageError(
                f"The data set {config.dataset} is not in {builder.data_path.parent.parent}; "
                "add --download to fetch it there, or name its TFDS directory by --data_dir; for images of your own "
                f"add --dataset=folder. Received: {config.data_dir or 'no --data_dir'}."
            )
        try:
            builder.download_and_prepare()
        except Exception as error:  # a download or a preparation may raise anything
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UsageError(f"The data set {config.dataset} could not be prepared: {reason}") from error
    return builder
