"""Opens a data set as the parts that a run needs: images to train on, to evaluate on, and to learn labels from."""

import functools
from typing import TYPE_CHECKING, Any

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.folder import ImageFolder
from simsiam_tf.data.folder_split import FolderSplit
from simsiam_tf.data.shards import split_names
from simsiam_tf.data.sources import Source, folder_source, open_source
from simsiam_tf.files import as_path, check_bucket, expand_several

if TYPE_CHECKING:
    from simsiam_tf.data.tfds import TFDSImages

# The data sets that are drawn, and not read.
_BUILT_IN = ("shapes", "made")
# The names of splits that --eval_split=auto looks for in TFDS, in this order.
_EVAL_NAMES = ("validation", "val", "valid", "test")


class DataSet:
    """Gives the parts of a data set, each opened when it is first asked for.

    Args:
        config: the settings of the data set.
        held_out: the names of the images that a run holds out for evaluation; `None` chooses them by `config.holdout`.

    Raises:
        UsageError: also from any attribute, if there is no such data set or split, or it cannot be used.
        ConnectionError: if its folder is in a bucket that does not exist, refuses, or does not answer.

    Example:
        data = DataSet(config.data)
        data.training.num_examples
    """

    def __init__(self, config: DataConfig, held_out: frozenset[str] | None = None) -> None:
        if config.dataset != "folder":  # which is never in a bucket
            for folder in expand_several(config.data_dir):
                check_bucket(as_path(folder))
        self.config = config
        self._held_out = held_out

    @functools.cached_property
    def folder(self) -> ImageFolder | None:
        """Returns the folder of images, or `None` for other data sets."""
        return ImageFolder(self.config, self._held_out) if self.config.dataset == "folder" else None

    @functools.cached_property
    def training(self) -> Source:
        """Returns the images to train on."""
        return self._of(self.folder.training) if self.folder else open_source(self.config, self.config.train_split)

    @functools.cached_property
    def labelled(self) -> Source | None:
        """Returns the labelled images that evaluations learn from, as kNN's bank is; `None` if there are none."""
        if self.folder is None:
            if self.config.dataset == "shards" and "labelled" in split_names(self.config):
                return open_source(self.config, "labelled")
            return self.training if self.training.labels is not None else None
        split = self.folder.labelled
        return self.training if split is self.folder.training else self._of(split)

    @functools.cached_property
    def evaluation(self) -> Source | None:
        """Returns the images to evaluate on, with the classes of `labelled`; `None` if there are none."""
        if self.folder is not None:
            source = self._of(self.folder.evaluation)
        elif self.config.eval_split != "auto":
            source = open_source(self.config, self.config.eval_split)
        else:
            name = self._automatic_split()
            source = open_source(self.config, name) if name else None
        return source.numbered_by(self.labelled.classes) if source and self.labelled else source

    @functools.cached_property
    def name(self) -> str:
        """Returns the full name of the training images in a data set that is no folder, with version and number."""
        if self.config.dataset == "shards":
            return f"shards/{self.config.train_split}:{self.training.num_examples}:{self.training.fingerprint}"
        drawn = self.config.dataset in _BUILT_IN
        version = self.config.dataset if drawn else self._tfds().builder.info.full_name
        return f"{version}/{self.config.train_split}:{self.training.num_examples}"

    @property
    def lacks(self) -> str:
        """Returns what protocols that need labels lack, as a phrase; an empty string if nothing."""
        if self.labelled is None:
            return "no labels"
        if self.evaluation is None or self.evaluation.labels is None:
            return "no labelled split to evaluate on"
        return ""

    @property
    def evaluates_on_training_images(self) -> bool:
        """Returns whether the images to evaluate on are those to train on, as with `--eval_split=train`."""
        if self.folder is None:
            return self.config.eval_split == self.config.train_split
        evaluation = self.folder.evaluation
        return evaluation is not None and evaluation.title == self.folder.training.title

    @functools.cached_property
    def held_out(self) -> list[str]:
        """Returns the names of the images that are held out for evaluation, sorted."""
        if self.folder is None or not self.config.holdout or self.folder.evaluation is None:
            return []
        return sorted(self.folder.evaluation.files.keys)

    def _automatic_split(self) -> str:
        if self.config.dataset in _BUILT_IN:
            return "test"
        if self.config.dataset == "shards":
            return "test" if "test" in split_names(self.config) else ""
        splits = self._tfds().builder.info.splits
        return next((name for name in _EVAL_NAMES if name in splits), "")

    def _tfds(self) -> "TFDSImages":
        from simsiam_tf.data.tfds import TFDSImages  # loads TensorFlow, which a folder does not need

        return TFDSImages(self.config)

    def _of(self, split: FolderSplit | None) -> Any:
        return None if split is None else folder_source(split, self.config)


def open_eval_source(config: DataConfig) -> Source | None:
    """Opens the images to evaluate on, with the classes of the training images; `None` if there are none.

    Raises:
        UsageError: if there is no such data set or split, or the data set cannot be used.
    """
    return DataSet(config).evaluation
