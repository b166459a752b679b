"""Stores features on disk, so that each image is embedded once for all protocols."""

import dataclasses
import functools
import hashlib
import json
import logging
import math
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
from simsiam_tf.files import load_array, make_folder, make_way, parse_json, read_regular, replacing, write_json
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
        make_way(directory.parent, is_for_folder=True)
        make_way(directory, is_for_folder=True)
        stored = _read_json(directory / _MANIFEST)
        features = self._load(source, directory) if stored is not None and _has_seconds(stored) else None
        if features is not None:
            _log.info(f"Using the stored features of {source.name} in {directory}")
        else:
            if stored is not None:
                # Without its shards, all images are embedded again, and their seconds counted.
                if not _has_seconds(stored) or self._shards(directory).is_complete(stored.get("num_shards")):
                    make_way(directory / _CHECKSUMS)
                    (directory / _CHECKSUMS).unlink(missing_ok=True)
                _log.warning(f"Features in {directory} are damaged or have no checksums; embedding these images again.")
            self._embed(source, directory, manifest)
            features = self._load(source, directory)
            if features is None:
                raise RuntimeError(f"The features in {directory} cannot be read again; this is a bug in simsiam_tf.")
        if source.files is not None:
            for position in np.setdiff1d(np.arange(source.num_examples), features.index):
                reason = ValueError("it could not be read when its features were stored")
                source.files.skip(int(position), reason)
        return features

    def _load(self, source: Source, directory: pathlib.Path) -> Features | None:
        """Opens the stored features of a source; returns `None` if they are damaged or not whole."""
        count: Any = (_read_json(directory / _MANIFEST) or {}).get("num_shards")
        if not self._shards(directory).is_complete(count):
            return None
        try:
            indices = [load_array(directory / f"index-{i:05}.npy") for i in range(count)]
            parts = [load_array(directory / f"features-{i:05}.npy", mapped=True) for i in range(count)]
        except (OSError, ValueError, EOFError):
            return None
        index = np.concatenate(indices)
        is_whole = index.dtype == np.int64 and index.ndim == 1 and np.all(np.diff(index, prepend=-1) > 0)
        if not is_whole or index[-1:].sum() >= source.num_examples:
            return None
        for positions, part in zip(indices, parts, strict=True):
            width = feature_dim(self.backbone) if len(positions) else 1
            if part.dtype != np.float32 or part.shape != (len(positions), width):
                return None
        labels = None if source.labels is None else source.labels[index]
        return Features(tuple(part for part in parts if len(part)), index, labels)

    def seconds(self, source: Source) -> float:
        """Returns the seconds that it took to embed a stored source.

        If the embedding was interrupted, only the last process counts.
        """
        stored = _read_json(self._directory(source, self.manifest(source)) / _MANIFEST) or {}
        return stored["seconds"] if _has_seconds(stored) else 0.0

    def _directory(self, source: Source, manifest: dict[str, Any]) -> pathlib.Path:
        """Returns the folder of a source's features, whose name ends with a hash of the manifest."""
        key = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:12]
        return self.root / "-".join([*pathlib.Path(source.name).parts[-2:], key]).replace("/", "")

    def _shards(self, directory: pathlib.Path) -> "ShardWriter":
        return ShardWriter(directory, rows=max(1, _SHARD_BYTES // (4 * feature_dim(self.backbone))))

    def _embed(self, source: Source, directory: pathlib.Path, manifest: dict[str, Any]) -> None:
        """Embeds the images that the folder lacks, shard by shard, and writes the manifest."""
        make_folder(directory)
        make_way(directory / _MANIFEST)
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

    def is_complete(self, count: Any) -> bool:
        """Returns whether a number of shards is that of the complete ones, of which there must be one at least.

        Args:
            count: the number, or whatever a damaged manifest holds in its place.
        """
        return type(count) is int and count > 0 and count == len(self.complete)

    @property
    def next_position(self) -> int:
        """Returns the first position that no complete shard covers."""
        return len(self.complete) * self._rows

    @property
    def num_rows(self) -> int:
        """Returns the number of features in the complete shards; images that could not be read have none."""
        return sum(len(load_array(self._paths(i)[1], mapped=True)) for i in range(len(self.complete)))

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
            make_way(path)
            with replacing(path) as draft, draft.open("wb") as file:  # np.save would add an ending to a path
                np.save(file, np.concatenate(parts))
        self._held = []
        self.complete.append(self._sums(len(self.complete)))
        make_way(self._directory / _CHECKSUMS)
        write_json(self._directory / _CHECKSUMS, {"rows": self._rows, "shards": self.complete})

    def _paths(self, number: int) -> list[pathlib.Path]:
        return [self._directory / f"{name}-{number:05}.npy" for name in ("features", "index")]

    def _sums(self, number: int) -> list[int]:
        """Computes the CRC-32 of the two files of a shard; returns an empty list if a file is missing."""
        paths = self._paths(number)
        return [zlib.crc32(path.read_bytes()) for path in paths] if all(path.is_file() for path in paths) else []


def _has_seconds(stored: dict[str, Any]) -> bool:
    """Returns whether a manifest says how long the embedding took, as every whole one does."""
    seconds: Any = stored.get("seconds")
    return type(seconds) in (int, float) and math.isfinite(seconds)


def _read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """Reads a JSON file; returns an empty dictionary if it is damaged or no file, and `None` if it is missing."""
    try:
        content = parse_json(read_regular(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
