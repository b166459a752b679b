"""Prepared shards: their index, and their records."""

import json
import pathlib
import random
import tempfile

import numpy as np
from PIL import Image

from tests.fuzz.mutations import mutate_bytes, mutate_json
from tests.fuzz.target import Target, WrongError


class ShardFiles(Target):
    """Opens a folder of shards, and reads its images as training does."""

    name = "shards"

    def make(self, folder: pathlib.Path) -> None:
        from simsiam_tf.config.data import DataConfig
        from simsiam_tf.config.preparation import PrepareConfig
        from simsiam_tf.data.dataset import DataSet
        from simsiam_tf.preparation.prepare import prepare

        levels = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)
        with tempfile.TemporaryDirectory() as place:
            for i in range(6):
                image = pathlib.Path(place) / f"train/class{i % 2}" / f"{i}.jpg"
                image.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(levels[i]).resize((40, 30)).save(image)
            data = DataSet(DataConfig(dataset="folder", data_dir=place))
            prepare(data, PrepareConfig(out=str(folder / "made"), shard_images=4))

    def load(self, folder: pathlib.Path) -> None:
        from simsiam_tf.augment.policies import EVALUATION_CROP
        from simsiam_tf.config.data import DataConfig
        from simsiam_tf.data import pipeline
        from simsiam_tf.data.dataset import DataSet

        self._config, self._data, self._reader, self._policy = DataConfig, DataSet, pipeline._Reader, EVALUATION_CROP
        self._files = {path.name: path.read_bytes() for path in sorted((folder / "made").iterdir()) if path.is_file()}
        self._index = json.loads(self._files["index.json"])

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        files = dict(self._files)
        records = [name for name in files if "tfrecord" in name]
        name = chance.choice(["index.json"] * 3 * len(records) + records)
        if name == "index.json":
            files[name], done = mutate_json(self._index, files[name], chance)
        else:
            whole, (changed, done) = files[name], mutate_bytes(files[name], chance)
            # Most of them as long as the index says, or nothing else would be tried.
            files[name] = (changed + bytes(len(whole)))[: len(whole)] if chance.random() < 0.9 else changed
        for file, content in files.items():
            (folder / file).write_bytes(content)
        return f"{name}: {done}"

    def read(self, folder: pathlib.Path) -> str:
        config = self._config(dataset="shards", data_dir=str(folder), max_bad_fraction=0.999)
        source = self._data(config).training
        root, files = folder.resolve(), source.files
        shards = files.shards if hasattr(files, "shards") else files.whole.shards
        for file in shards.files:
            if root not in pathlib.Path(file).resolve().parents:
                raise WrongError(f"a shard outside of the folder: {file!r}")
        if source.labels is not None and not -1 <= source.labels.min() <= source.labels.max() < len(shards.classes):
            raise WrongError(f"labels {source.labels}, of {len(shards.classes)} classes")
        crop, left_out = np.zeros((24, 24, 3), np.uint8), 0
        reader = self._reader(source, (self._policy,), 24, 0)
        for position in range(min(source.num_examples, 8)):
            files.locate(position)
            left_out += reader._load([crop], position, [np.zeros(0)], False) < 0
        source.fingerprint  # noqa: B018 - it must be possible
        return "read, some left out" if left_out else "read"
