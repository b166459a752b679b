"""Measures the kNN accuracy of a method in plain `fit`, from arrays of images."""

from typing import Any

import numpy as np

from simsiam_tf.callbacks.feature_monitor import FeatureMonitor
from simsiam_tf.data.sources import Source, memory_source
from simsiam_tf.errors import check, names_its_options
from simsiam_tf.features.knn import KNNProtocol


@names_its_options
class KNNMonitor(FeatureMonitor):
    """Logs the kNN accuracy of the backbone's features after an epoch, as `knn_top1` in percent (paper App. D).

    Training images vote on the class of each test image. No classifier is trained, so a measurement costs little more
    than embedding the images. `feature_effective_rank` and `feature_dead_channels` are logged too.

    Put it before `ModelCheckpoint` in the list of callbacks, so that `monitor="knn_top1"` finds the value.

    Args:
        train: the images that vote, `[N, H, W, 3] uint8`, and their classes `[N]` or `[N, 1]`.
        test: the images to classify, `[M, H, W, 3] uint8`, and their classes.
        k: the number of neighbours that vote; if it is above N, all vote.
        temperature: T of the weights exp(similarity / T).
        every_epochs: the number of epochs between two measurements; the last epoch is always measured.
        size: the side of the evaluation crop in pixels; by default the shorter side of the images.

    Raises:
        ValueError: if images or classes have another type or shape.

    Example:
        >>> import numpy as np
        >>> images, classes = np.zeros([4, 32, 32, 3], "uint8"), np.arange(4) % 2
        >>> monitor = KNNMonitor(train=(images, classes), test=(images, classes), k=2)
    """

    every_option = "every_epochs"

    def __init__(
        self,
        train: tuple[Any, Any],
        test: tuple[Any, Any],
        k: int = 200,
        temperature: float = 0.1,
        every_epochs: int = 1,
        size: int | None = None,
    ) -> None:
        check(k >= 1, "k must be at least 1.", k)
        check(temperature > 0, "temperature must be positive.", temperature)
        check(every_epochs >= 1, "every_epochs must be at least 1.", every_epochs)
        check(size is None or size >= 1, "size must be at least 1.", size)
        train_images, train_classes = _checked("train", train)
        test_images, test_classes = _checked("test", test)
        num_classes = int(max(train_classes.max(), test_classes.max())) + 1

        def source(name: str, images: np.ndarray, classes: np.ndarray) -> Source:
            return memory_source(name, images, classes, num_classes)

        queries = source("test", test_images, test_classes)
        protocol = KNNProtocol(source("train", train_images, train_classes), queries, k, temperature)
        super().__init__(protocol, queries, size or min(test_images.shape[1:3]), every_epochs, epochs=0)

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes the number of epochs from Keras."""
        self._epochs = self.params.get("epochs", 0)


def _checked(name: str, pair: tuple[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Returns images `[N, H, W, 3] uint8` and classes `[N] int64`."""
    check(isinstance(pair, tuple | list) and len(pair) == 2, f"{name} must be a pair (images, classes).", type(pair))
    images, classes = np.asarray(pair[0]), np.asarray(pair[1])
    rule = f"{name} must hold images [N, H, W, 3] of uint8."
    form = f"{images.dtype} {list(images.shape)}"
    check(images.ndim == 4 and images.shape[-1] == 3 and images.dtype == np.uint8 and len(images) > 0, rule, form)
    flat = classes.reshape(-1) if classes.shape in ((len(images),), (len(images), 1)) else np.zeros(0)
    rule = f"{name} must hold a class for each of its {len(images)} images, a whole number from 0."
    whole = len(flat) > 0 and np.issubdtype(flat.dtype, np.integer) and flat.min() >= 0
    check(bool(whole), rule, f"{classes.dtype} {list(classes.shape)}")
    return images, flat.astype(np.int64)
