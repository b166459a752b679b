"""Prepares a data set: writes its images as shards, and an index of them. What was interrupted goes on."""

import functools
import hashlib
import itertools
import logging
import pathlib
import time
from typing import Any

import numpy as np

from simsiam_tf.config.preparation import PrepareConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.overview import identity
from simsiam_tf.data.shards import FORMAT, INDEX, Shards, dump_index, read_index
from simsiam_tf.data.sources import Source
from simsiam_tf.data.unreadable import may_be_unreadable
from simsiam_tf.errors import UsageError
from simsiam_tf.files import (
    LockHeldError,
    check_bucket,
    check_folder,
    exists,
    is_folder,
    lock,
    make_folder,
    parse_json,
    printable,
    read_regular,
    release,
    remove_folder,
    user_path,
    write_json,
    write_text,
)
from simsiam_tf.preparation.jpeg import plain_jpeg
from simsiam_tf.preparation.shard import ShardRecord, keep_record, kept_record, write_shard
from simsiam_tf.progress import Progress

_log = logging.getLogger(__name__)

# The folder of the records of an unfinished preparation.
_UNFINISHED = ".unfinished"
_PLAN = "plan.json"


def prepare(data: DataSet, config: PrepareConfig) -> str:
    """Writes the images that a run on a data set would use as shards.

    Args:
        data: the data set.
        config: the settings of the preparation.

    Returns:
        A sentence that says what was written.

    Raises:
        UsageError: if the data set cannot be prepared, the folder holds something else, or too many images cannot be
            read.
    """
    splits = _splits_of(data)
    out, plan = user_path(config.out), _plan(data, splits, config)
    if exists(out / INDEX):
        if read_index(out).get("made_from") != plan:
            raise UsageError(
                "--out holds shards of other images or settings, which are not overwritten; name another folder. "
                f"Received: {printable(str(out))}."
            )
        _remove_remains(out)
        return f"The shards in {printable(str(out))} are finished already; nothing was changed."
    _claim(out, plan)
    try:
        lock(out / _UNFINISHED / ".lock")
    except LockHeldError as error:
        raise UsageError(f"Another process writes into --out ({error}). Received: {printable(str(out))}.") from error
    try:
        return _write(out, plan, splits, data, config)
    finally:
        release(out / _UNFINISHED / ".lock")


def _write(
    out: pathlib.Path, plan: dict[str, Any], splits: dict[str, Source], data: DataSet, config: PrepareConfig
) -> str:
    """Writes what is missing, and then the index."""
    written = {name: _write_split(out, name, source, data, config) for name, source in splits.items()}
    left_out = [[name, *each] for name, (_, records) in written.items() for r in records for each in r.left_out]
    for name, source in splits.items():
        _check_share([each[1:] for each in left_out if each[0] == name], source, data.config.max_bad_fraction)
    of_splits = {name: shards.as_json() for name, (shards, _) in written.items()}
    index = {"format": FORMAT, "made_from": plan, "left_out": left_out, "splits": of_splits}
    write_text(out / INDEX, dump_index(index))
    _remove_remains(out)
    counts = ", ".join(f"{split['images']:,} of {name}" for name, split in of_splits.items())
    shards = sum(len(split["shards"]) for split in of_splits.values())
    megabytes = sum(shard["bytes"] for split in of_splits.values() for shard in split["shards"]) / 1e6
    size = f"{megabytes / 1000:,.1f} GB" if megabytes >= 1000 else f"{megabytes:,.1f} MB"
    without = f"; {len(left_out):,} unreadable ones are left out and listed there" if left_out else ""
    return (
        f"Wrote {counts} images as {shards:,} shards, {size} in all, and {INDEX}, into "
        f"{printable(str(out))}{without}. Train on them with --dataset=shards --data_dir={printable(str(out))}."
    )


def _remove_remains(out: pathlib.Path) -> None:
    """Removes the records of a preparation that is finished, and the drafts of attempts that were killed."""
    for draft in out.glob("*.tfrecord.tmp*"):
        draft.unlink(missing_ok=True)
    remove_folder(out / _UNFINISHED)


def _splits_of(data: DataSet) -> dict[str, Source]:
    """Returns the images to train on, to evaluate on, and to learn labels from if they are others.

    Raises:
        UsageError: if they are held in memory, and need no shards.
    """
    splits = {"train": data.training.first(data.config.max_examples)}
    if data.evaluation is not None:
        splits["test"] = data.evaluation
    if data.labelled is not None and data.labelled is not splits["train"]:  # others, or more than are trained on
        splits["labelled"] = data.labelled
    for source in splits.values():
        if source.files is None:
            raise UsageError(
                f"Shards are for images that are read one by one; {source.name} is held in memory, and needs none. "
                f"Received: --dataset={data.config.dataset}."
            )
    return splits


def _plan(data: DataSet, splits: dict[str, Source], config: PrepareConfig) -> dict[str, Any]:
    """Returns what decides the bytes of the shards, as JSON holds it."""
    pixels = data.config.pixels
    return {
        "data": {key: value for key, value in identity(data).items() if key != "classes"},
        "splits": {name: [source.num_examples, _hash_of(source)] for name, source in splits.items()},
        "features": [data.config.image_feature, data.config.label_feature],
        "pixels": [pixels.exif, pixels.alpha, list(pixels.value_range), list(pixels.channels), pixels.max_pixels],
        "shard_images": config.shard_images,
        "max_side": config.max_side,
        "quality": config.quality,
    }


def _hash_of(source: Source) -> str:
    """Returns a hash of the name, the class and, for files, the size of each image."""
    digest = hashlib.sha256()
    for position in range(source.num_examples):
        label = -1 if source.labels is None else int(source.labels[position])
        kind = source.classes[label] if label >= 0 and source.classes else label
        text = f"{source.name_of(position)}\0{kind}\0{source.size_of(position)}\n"
        digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _claim(out: pathlib.Path, plan: dict[str, Any]) -> None:
    """Makes the folder of the shards, or goes on with one of the same plan.

    Raises:
        UsageError: if it holds anything else.
    """
    path = out / _UNFINISHED / _PLAN
    check_bucket(out)
    if path.exists():
        try:
            before = parse_json(read_regular(path))
        except (OSError, ValueError):
            before = None
        if before != plan:
            raise UsageError(
                "--out holds an unfinished preparation of other images or settings; name another folder, or remove it. "
                f"Received: {printable(str(out))}."
            )
        return
    ours = (_UNFINISHED, ".write_test_")  # the second is left if a process is killed while it tries the folder
    found = [entry.name for entry in out.iterdir() if not entry.name.startswith(ours)] if is_folder(out) else []
    if found:
        raise UsageError(
            f"--out must be a new folder, or one that prepare made. Received: {printable(str(out))}, which holds "
            f"{printable(found[0])}."
        )
    check_folder(out)
    make_folder(path.parent)
    write_json(path, plan)


def _write_split(
    out: pathlib.Path, name: str, source: Source, data: DataSet, config: PrepareConfig
) -> tuple[Shards, list[ShardRecord]]:
    """Writes the shards of a split that are not written yet."""
    convert = functools.partial(plain_jpeg, pixels=data.config.pixels, max_side=config.max_side, quality=config.quality)
    bounds = np.linspace(0, source.num_examples, -(-source.num_examples // config.shard_images) + 1).round().astype(int)
    parts = [range(int(a), int(b)) for a, b in itertools.pairwise(bounds)]
    files = [out / f"{name}-{i:05}-of-{len(parts):05}.tfrecord" for i in range(len(parts))]
    kept = [out / _UNFINISHED / f"{file.stem}.json" for file in files]
    records = [kept_record(path, file) for path, file in zip(kept, files, strict=True)]
    done = sum(len(part) for part, record in zip(parts, records, strict=True) if record is not None)
    if done:
        _log.info(f"Going on: {done:,} of {source.num_examples:,} images of {name} are written already.")
    begun = time.monotonic()
    with Progress(f"Preparing {name}", source.num_examples, "image", done, live=True) as progress:

        def count(images: int) -> None:
            progress.add(images)
            progress.note = f", {(progress.done - done) / max(time.monotonic() - begun, 1e-3):,.0f} images/s"

        for i, record in enumerate(records):
            if record is None:
                record = records[i] = write_shard(files[i], source, parts[i], convert, count)
                keep_record(kept[i], record)
    written = [record for record in records if record is not None]
    return _shards_of(files, source, written), written


def _shards_of(files: list[pathlib.Path], source: Source, records: list[ShardRecord]) -> Shards:
    """Describes the shards of a split. A shard whose images are all unreadable is no part of it."""
    pairs = [(str(file), record) for file, record in zip(files, records, strict=True) if record.positions]
    positions = np.array([position for _, record in pairs for position in record.positions], np.int64)
    return Shards(
        files=tuple(file for file, _ in pairs),
        counts=np.array([len(record.positions) for _, record in pairs], np.int64),
        lengths=np.array([length for _, record in pairs for length in record.lengths], np.int64),
        labels=None if source.labels is None else source.labels[positions],
        classes=source.classes,
        names=[source.name_of(position) for position in positions.tolist()],
    )


def _check_share(left_out: list[Any], source: Source, share: float) -> None:
    """Raises a UsageError if too many images of a split cannot be read. What is written stays for the next attempt.

    Args:
        left_out: the name of each image of the split that cannot be read, and the reason.
        source: the images of the split.
        share: the largest share of them that may be unreadable.
    """
    count = len(left_out)
    if not may_be_unreadable(count, source.num_examples, share) or count == source.num_examples:
        name, reason = left_out[0]
        raise UsageError(
            f"At most {share:.2%} of the {source.num_examples} images of {source.name} may be unreadable, and one in "
            "any case; with a greater --max_bad_fraction the same command ends at once. "
            f"Received: {count}, the first of them {printable(name)} ({printable(reason)})."
        )
