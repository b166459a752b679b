"""Features on disk, so that each image is embedded once for all protocols."""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import time
import zlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.augment.policies import EVALUATION_CROP
from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.sources import Source
from simsiam_tf.features.embed import ONE_DEVICE, Features, backbone_sha256, embedding_bar, feature_batches
from simsiam_tf.files import write_json
from simsiam_tf.networks import feature_dim

_SHARD_BYTES = 64 << 20


_MANIFEST, _CHECKSUMS = "manifest.json", "checksums.json"


@dataclasses.dataclass(frozen=True)
class FeatureStore:
    """A run's features on disk, so that each image is embedded once for all protocols.

    Each data set, crop and checkpoint has a folder of its own. It holds shards `features-*.npy` and `index-*.npy` of at
    most 64 MiB, `checksums.json`, which names the shards that are complete, and at the end `manifest.json`, which says
    what they are of. An interrupted embedding resumes after its last complete shard. Shards are compared with their
    checksums before they are used; from the first damaged one on, images are embedded again.

    Attributes:
        root: the folder of those folders.
        backbone: images `[B, H, W, 3]` to features `[B, D]`.
        made_by: what the features are of besides the images: recipe, checkpoint.
        image_size: of the evaluation crop, pixels.
        batch_size: images at a time.
        strategy: as for `feature_batches`.
    """

    root: pathlib.Path
    backbone: keras.Model
    made_by: dict[str, Any]
    image_size: int
    batch_size: int = 256
    strategy: tf.distribute.Strategy = ONE_DEVICE

    @functools.cached_property
    def weights_sha256(self) -> str:
        """The backbone's fingerprint, as it was when this was first asked for."""
        return backbone_sha256(self.backbone)

    def manifest(self, source: Source) -> dict[str, Any]:
        """What tells the features of a source from all others."""
        return {
            "weights_sha256": self.weights_sha256,
            **self.made_by,
            "images": source.fingerprint,
            "augmentation": {"policy": "linear_eval", **dataclasses.asdict(EVALUATION_CROP)},
            "image_size": self.image_size,
            "dtype": "float32",
        }

    def features_of(self, source: Source) -> Features:
        """The features of a source in the evaluation crop: from disk, where they are, or else embedded and stored."""
        manifest = self.manifest(source)
        directory = self._directory(source, manifest)
        stored = _read_json(directory / _MANIFEST)
        if stored and stored.get("num_shards") == len(self._shards(directory).complete):
            print(f"Features of {source.name}: those in {directory}")
        else:
            if stored is not None:
                print(f"Those in {directory} are damaged or have no checksums; embedding those images again.")
            stored = self._embed(source, directory, manifest)
        index = np.concatenate([np.load(directory / f"index-{i:05}.npy") for i in range(stored["num_shards"])])
        if source.files is not None:
            for position in np.setdiff1d(np.arange(source.num_examples), index):
                reason = ValueError("it could not be read when its features were stored")
                source.files.skip(int(position), reason)
        parts = [np.load(directory / f"features-{i:05}.npy", mmap_mode="r") for i in range(stored["num_shards"])]
        labels = None if source.labels is None else source.labels[index]
        return Features(tuple(part for part in parts if len(part)), index, labels)

    def seconds(self, source: Source) -> float:
        """How long it took to embed a stored source, in the last process if there were several."""
        return json.loads((self._directory(source, self.manifest(source)) / _MANIFEST).read_text())["seconds"]

    def _directory(self, source: Source, manifest: dict[str, Any]) -> pathlib.Path:
        key = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:12]
        return self.root / "-".join([*pathlib.Path(source.name).parts[-2:], key]).replace("/", "")

    def _shards(self, directory: pathlib.Path) -> "ShardWriter":
        return ShardWriter(directory, rows=max(1, _SHARD_BYTES // (4 * feature_dim(self.backbone))))

    def _embed(self, source: Source, directory: pathlib.Path, manifest: dict[str, Any]) -> dict[str, Any]:
        """Embeds what the folder lacks, shard by shard. Returns what the manifest says of the result."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _MANIFEST).unlink(missing_ok=True)
        start, shards = time.monotonic(), self._shards(directory)
        bar = embedding_bar(source, min(shards.next_position, source.num_examples))
        images = evaluation_dataset(source, self.image_size, self.batch_size, start=shards.next_position)
        for features, index in feature_batches(self.backbone, images, self.strategy):
            bar.add(len(features))
            shards.add(features, index)
        shards.close()
        seconds = round(time.monotonic() - start, 2)
        made = {"source": source.name, "rows": shards.num_rows, "num_shards": len(shards.complete), "seconds": seconds}
        write_json(directory / _MANIFEST, manifest | made)
        return made


class ShardWriter:
    """Writes features of consecutive positions to files of a fixed number of positions, with their checksums.

    Args:
        directory: where the files are; what is there already and undamaged is kept.
        rows: positions of each shard.

    Attributes:
        complete: for each shard that is whole, the CRC-32 of its two files.
    """

    def __init__(self, directory: pathlib.Path, rows: int):
        self._directory, self._rows = directory, rows
        self._held: list[tuple[np.ndarray, np.ndarray]] = []
        noted = _read_json(directory / _CHECKSUMS) or {}
        found = noted.get("shards") if noted.get("rows") == rows else None
        self.complete: list[list[int]] = []
        for sums in found if isinstance(found, list) else ():
            if self._sums(len(self.complete)) != sums:  # damaged, or gone
                break
            self.complete.append(sums)

    @property
    def next_position(self) -> int:
        """The first position that no complete shard covers."""
        return len(self.complete) * self._rows

    @property
    def num_rows(self) -> int:
        """Features in the complete shards; images that could not be read have none."""
        return sum(len(np.load(self._paths(i)[1], mmap_mode="r")) for i in range(len(self.complete)))

    def add(self, features: np.ndarray, index: np.ndarray) -> None:
        """Takes features `[n, D]` and their positions `[n]`, ascending; writes the shards that they complete."""
        of_shard = index // self._rows
        for shard in np.unique(of_shard):
            while shard > len(self.complete):
                self._write()
            self._held.append((features[of_shard == shard], index[of_shard == shard]))

    def close(self) -> None:
        """Writes the last shard, however short it is."""
        if self._held:
            self._write()

    def _write(self) -> None:
        empty = (np.zeros((0, 1), np.float32), np.zeros(0, np.int64))  # no image of the shard could be read
        features, index = zip(*(self._held or [empty]), strict=True)
        for path, parts in zip(self._paths(len(self.complete)), (features, index), strict=True):
            draft = path.with_name(f"draft{os.getpid()}-{path.name}")
            np.save(draft, np.concatenate(parts))
            draft.replace(path)
        self._held = []
        self.complete.append(self._sums(len(self.complete)))
        write_json(self._directory / _CHECKSUMS, {"rows": self._rows, "shards": self.complete})

    def _paths(self, number: int) -> list[pathlib.Path]:
        return [self._directory / f"{name}-{number:05}.npy" for name in ("features", "index")]

    def _sums(self, number: int) -> list[int]:
        paths = self._paths(number)
        return [zlib.crc32(path.read_bytes()) for path in paths] if all(path.is_file() for path in paths) else []


def _read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """Reads a file of ours. Returns an empty dictionary if it is damaged, and `None` if it is missing."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
