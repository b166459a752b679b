"""Inspects a data set: reads the headers of all files and the pixels of a sample, and collects what was found."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from simsiam_tf.config.inspection import InspectConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.overview import overview
from simsiam_tf.data.pixels import UnknownValuesError
from simsiam_tf.data.sight import check_bits
from simsiam_tf.data.unreadable import may_be_unreadable
from simsiam_tf.files import printable
from simsiam_tf.inspection.duplicates import Duplicates
from simsiam_tf.inspection.findings import Findings, Odd, Sizes, SplitFacts, Values
from simsiam_tf.inspection.headers import Headers, read_headers
from simsiam_tf.inspection.left_out import all_left_out
from simsiam_tf.inspection.odd import common, odd_images
from simsiam_tf.inspection.sampled import Sample, choose, read_sample
from simsiam_tf.inspection.splits import Split, splits_of
from simsiam_tf.progress import Progress, duration


@dataclasses.dataclass(frozen=True, eq=False)
class Inspected:
    """Holds a split with what was read of it.

    Attributes:
        split: the split.
        headers: the headers of its images.
        sample: the pixels of some of its images.
        seconds: how long reading the pixels took.
    """

    split: Split
    headers: Headers
    sample: Sample
    seconds: float


def inspect(data: DataSet, config: InspectConfig) -> tuple[Findings, list[Split]]:
    """Inspects the images that a run would use.

    Args:
        data: the data set.
        config: the settings of the inspection.

    Returns:
        The findings, and the splits that they are about.

    Raises:
        UsageError: if the data set cannot be used.
    """
    splits = splits_of(data, data.config.max_examples)
    parts = [_read(split, config.sample) for split in splits]
    duplicates = Duplicates([(part.split, part.headers, part.sample) for part in parts], config)
    training = parts[0]
    odd: dict[str, list[Odd]] = {}
    for part in parts:
        for kind, found in odd_images(part.split, part.headers, part.sample, data.config.image_size):
            if found:
                odd.setdefault(kind, []).extend(found)
    findings = Findings(
        summary=overview(data, training.sample.sight(), len(training.split)),
        splits=[_facts(part) for part in parts],
        questions=[question for part in parts for question in _questions(part, data.config.max_bad_fraction)],
        left_out=all_left_out(data.folder, splits) if data.folder else {},
        sizes={part.split.role: _sizes(part.headers) for part in parts},
        values={part.split.role: _values(part.sample) for part in parts},
        identical=duplicates.identical(),
        identical_between=duplicates.identical_between(),
        near=duplicates.near_groups(),
        near_between=duplicates.near_between(),
        odd=odd,
        notes=[note for part in parts for note in _notes(part, data.config.image_size)] + duplicates.notes(),
    )
    return findings, splits


def _read(split: Split, count: int) -> Inspected:
    positions = choose(len(split), count)
    every: Sequence[int] = range(len(split)) if split.files is not None or split.in_memory else positions
    with Progress(f"Reading the headers of the {split.role} images", len(every), "image", live=True) as progress:
        headers = read_headers(split, every, progress.add)
    with Progress(f"Reading the pixels of the {split.role} images", len(positions), "image", live=True) as progress:
        sample = read_sample(split, positions, progress.add)
    return Inspected(split, headers, sample, progress.seconds)


def _facts(part: Inspected) -> SplitFacts:
    split, classes, without = part.split, {}, 0
    if split.labels is not None and split.source.classes:
        known = split.labels[split.labels >= 0]
        counts = np.bincount(known, minlength=len(split.source.classes)).tolist()
        classes, without = dict(zip(split.source.classes, counts, strict=True)), len(split) - len(known)
    name, headers, pixels = printable(split.source.name), len(part.headers.positions), len(part.sample.positions)
    return SplitFacts(
        split.role,
        name,
        images=len(split),
        classes=classes,
        without_class=without,
        headers_read=headers,
        pixels_read=pixels,
    )


def _questions(part: Inspected, max_bad_fraction: float) -> list[str]:
    """Returns what must be decided before a run, in sentences."""
    questions = []
    split, sample = part.split, part.sample
    broken = {part.headers.positions[i] for i in part.headers.reasons} | {sample.positions[i] for i in sample.reasons}
    if not may_be_unreadable(len(broken), len(split), max_bad_fraction):
        questions.append(
            f"A run would stop, for {len(broken):,} of the {len(split):,} {split.role} images cannot be read, and "
            f"--max_bad_fraction={max_bad_fraction:g}; mend them or take them away."
        )
    if sample.questions:
        i = min(sample.questions)
        others = f" and {len(sample.questions) - 1} more" if len(sample.questions) > 1 else ""
        place = f"{printable(split.name(sample.positions[i]))}{others}"
        questions.append(f"{sample.questions[i].rstrip('.')}, in {place} of the {split.role} images.")
    try:
        check_bits(sample.sight(), split.pixels, printable(split.source.name))
    except UnknownValuesError as error:
        questions.append(str(error))
    return questions


def _sizes(headers: Headers) -> list[Sizes]:
    def sizes(kind: str, chosen: np.ndarray) -> Sizes:
        return Sizes(kind, int(chosen.sum()), _span(headers.width[chosen]), _span(headers.height[chosen]))

    found = [sizes(kind, headers.kind == number) for number, kind in enumerate(headers.kinds)]
    found.sort(key=lambda one: -one.images)
    return [sizes("all", headers.readable), *found] if len(found) > 1 else found


def _span(values: np.ndarray) -> tuple[int, int, int]:
    return int(values.min()), int(np.median(values)), int(values.max())


def _values(sample: Sample) -> list[Values]:
    counts: dict[str, int] = {}
    for seen in sample.seen:
        if seen is not None:
            counts[seen.kind] = counts.get(seen.kind, 0) + 1
    ranges = sample.sight().ranges
    return [Values(kind, counts[kind], low, high) for kind, (low, high) in ranges.items()]


def _notes(part: Inspected, image_size: int) -> list[str]:
    """Returns what most images have in common, and what was not looked at, in sentences."""
    split, sample, notes = part.split, part.sample, list(common(part.split, part.headers, image_size))
    total, seen, whole = len(split), len(sample.positions), len(split.names or range(len(split)))
    if total < whole:
        notes.append(f"--max_examples: only the first {total:,} of {whole:,} images are trained on, and looked at.")
    if seen < total:
        pace = part.seconds / max(1, seen)
        takes = f"{'about ' if pace * total >= 1 else ''}{duration(pace * total)}"
        unknown = "values, single colours and near-duplicates of the others are not known, nor whether they are broken"
        if len(part.headers.positions) < total:
            unknown = f"sizes, equal images, {unknown}"
        notes.append(
            f"Pixels were read of a sample of {seen:,} of the {total:,} {split.role} images: {unknown}"
            f"{' behind their headers' if split.files else ''}. --sample=0 reads all ({takes})."
        )
    if sample.reduced:
        notes.append(
            f"JPEG files among the {split.role} images were decoded at a reduced size, where the least and "
            "the greatest value are those of small areas."
        )
    return notes
