"""Stores features on disk, so that each image is embedded once for all protocols."""

import dataclasses
import functools
import hashlib
import json
import logging
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
from simsiam_tf.features.embed import ONE_DEVICE, Features, backbone_sha256, embedding_progress, feature_batches
from simsiam_tf.files import write_json
from simsiam_tf.networks import feature_dim

_log = logging.getLogger(__name__)

# The greatest size of a shard's features.
_SHARD_BYTES = 64 << 20


_MANIFEST, _CHECKSUMS = "manifest.json", "checksums.json"


@dataclasses.dataclass(frozen=True)
class FeatureStore:
    """Stores features on disk: computes those that are missing with the backbone ("embeds" images), reads the others.

    Each data set, crop and set of weights has its own folder, with these files:

    - `features-*.npy` and `index-*.npy`: shards of at most 64 MiB, the features and the positions of their images.
    - `checksums.json`: the checksums of the complete shards.
    - `manifest.json`: a description of the features. It is written last.

    An interrupted embedding resumes after its last complete shard. Checksums are verified before shards are used; from
    the first damaged shard on, images are embedded again.

    Attributes:
        root: the folder that holds these folders.
        backbone: a network from images `[B, H, W, 3]` to features `[B, D]`.
        made_by: the origin of the weights, for the manifest: recipe and checkpoint.
        image_size: the side of the evaluation crop, pixels.
        batch_size: the number of images embedded at a time, on each replica.
        strategy: the distribution strategy that the backbone was made under; its replicas share the work.
    """

    root: pathlib.Path
    backbone: keras.Model
    made_by: dict[str, Any]
    image_size: int
    batch_size: int = 256
    strategy: tf.distribute.Strategy = ONE_DEVICE

    @functools.cached_property
    def weights_sha256(self) -> str:
        """Returns the fingerprint of the backbone's weights. It is computed once, at the first call."""
        return backbone_sha256(self.backbone)

    def manifest(self, source: Source) -> dict[str, Any]:
        """Returns the description that identifies the features of a source; the name of their folder depends on it."""
        return {
            "weights_sha256": self.weights_sha256,
            **self.made_by,
            "images": source.fingerprint,
            "augmentation": {"policy": "linear_eval", **dataclasses.asdict(EVALUATION_CROP)},
            "image_size": self.image_size,
            "dtype": "float32",
        }

    def features_of(self, source: Source) -> Features:
        """Returns the features of a source: from disk if they are stored, otherwise embedded and stored first.

        Stored features lack the images that could not be read. These count as skipped, as if they were read again.

        Raises:
            UsageError: if too many images of the source cannot be read.
            FloatingPointError: if a feature is not finite.
        """
        manifest = self.manifest(source)
        directory = self._directory(source, manifest)
        stored = _read_json(directory / _MANIFEST)
        is_whole = stored is not None and isinstance(stored.get("seconds"), int | float)
        if stored and is_whole and stored.get("num_shards") == len(self._shards(directory).complete):
            _log.info(f"Using the stored features of {source.name} in {directory}")
        else:
            if stored is not None:
                if not is_whole:  # without its shards, all images are embedded again, and their seconds counted
                    (directory / _CHECKSUMS).unlink(missing_ok=True)
                _log.warning(f"Features in {directory} are damaged or have no checksums; embedding these images again.")
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
        """Returns the seconds that it took to embed a stored source.

        If the embedding was interrupted, only the last process counts.
        """
        return json.loads((self._directory(source, self.manifest(source)) / _MANIFEST).read_text())["seconds"]

    def _directory(self, source: Source, manifest: dict[str, Any]) -> pathlib.Path:
        """Returns the folder of a source's features, whose name ends with a hash of the manifest."""
        key = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:12]
        return self.root / "-".join([*pathlib.Path(source.name).parts[-2:], key]).replace("/", "")

    def _shards(self, directory: pathlib.Path) -> "ShardWriter":
        return ShardWriter(directory, rows=max(1, _SHARD_BYTES // (4 * feature_dim(self.backbone))))

    def _embed(self, source: Source, directory: pathlib.Path, manifest: dict[str, Any]) -> dict[str, Any]:
        """Embeds the images that the folder lacks, shard by shard; returns what the manifest says about the result."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _MANIFEST).unlink(missing_ok=True)
        start, shards = time.monotonic(), self._shards(directory)
        images = evaluation_dataset(source, self.image_size, self.batch_size, start=shards.next_position)
        with embedding_progress(source, min(shards.next_position, source.num_examples)) as progress:
            for features, index in feature_batches(self.backbone, images, self.strategy):
                progress.add(len(features))
                shards.add(features, index)
            shards.close()
        seconds = round(time.monotonic() - start, 2)
        made = {"source": source.name, "rows": shards.num_rows, "num_shards": len(shards.complete), "seconds": seconds}
        write_json(directory / _MANIFEST, manifest | made)
        return made


class ShardWriter:
    """Writes features to shards with checksums. Each shard covers a fixed number of consecutive positions.

    Args:
        directory: the folder of the shards. Shards that it already holds are kept up to the first damaged one.
        rows: the number of positions that each shard covers.

    Attributes:
        complete: the CRC-32 of the two files of each complete shard.
    """

    def __init__(self, directory: pathlib.Path, rows: int):
        self._directory, self._rows = directory, rows
        self._held: list[tuple[np.ndarray, np.ndarray]] = []
        noted = _read_json(directory / _CHECKSUMS) or {}
        found = noted.get("shards") if noted.get("rows") == rows else None
        self.complete: list[list[int]] = []
        for sums in found if isinstance(found, list) else ():
            if self._sums(len(self.complete)) != sums:  # the shard is damaged or missing
                break
            self.complete.append(sums)

    @property
    def next_position(self) -> int:
        """Returns the first position that no complete shard covers."""
        return len(self.complete) * self._rows

    @property
    def num_rows(self) -> int:
        """Returns the number of features in the complete shards; images that could not be read have none."""
        return sum(len(np.load(self._paths(i)[1], mmap_mode="r")) for i in range(len(self.complete)))

    def add(self, features: np.ndarray, index: np.ndarray) -> None:
        """Adds features, and writes the shards that this completes.

        Args:
            features: the features of the next images, `[n, D]`.
            index: the positions of these images, `[n]`, ascending; images that could not be read are missing.
        """
        of_shard = index // self._rows
        for shard in np.unique(of_shard):
            while shard > len(self.complete):
                self._write()
            self._held.append((features[of_shard == shard], index[of_shard == shard]))

    def close(self) -> None:
        """Writes the features that are left over as the last shard."""
        if self._held:
            self._write()

    def _write(self) -> None:
        """Writes the features held so far as the next shard."""
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
        """Computes the CRC-32 of the two files of a shard; returns an empty list if a file is missing."""
        paths = self._paths(number)
        return [zlib.crc32(path.read_bytes()) for path in paths] if all(path.is_file() for path in paths) else []


def _read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """Reads a JSON file; returns an empty dictionary if the file is damaged, and `None` if it is missing."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
