"""Which labelled images a protocol may look at: a share of each class, or a list in a file."""

import pathlib

import numpy as np

from simsiam_tf.data.sources import Source
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import expand


def balanced_subset(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """As many images of each class, up to one, drawn at random.

    Args:
        labels: `[N]`.
        fraction: share of the N images; each class gives round(fraction x N / K), at least one, or all it has.
        seed: another one draws others.

    Returns:
        Their positions, ascending.
    """
    classes = np.unique(labels)
    of_each = max(1, round(fraction * len(labels) / len(classes)))
    rng = np.random.RandomState(seed)
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:of_each] for c in classes]
    return np.sort(np.concatenate(chosen))


def held_out(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """The same share of each class, at least one image and never the last one of a class; drawn at random.

    Args:
        labels: `[N]`.
        fraction: share of each class' images.
        seed: another one draws others.

    Returns:
        Their positions, ascending.

    Raises:
        UsageError: if no class has two images.
    """
    rng, chosen = np.random.RandomState(seed), []
    for c in np.unique(labels):
        of_class = rng.permutation(np.flatnonzero(labels == c))
        chosen.append(of_class[: min(max(1, round(fraction * len(of_class))), len(of_class) - 1)])
    rows = np.sort(np.concatenate(chosen))
    check(
        len(rows) > 0, "To hold images out, some class must have two.", f"{len(labels)} images, each of another class"
    )
    return rows


def listed_subset(source: Source, file: str) -> np.ndarray:
    """The images that a file names, one in each line, by their file's name with or without its folder, or by position.

    Args:
        source: the images.
        file: such as the lists of 1 % and 10 % of ImageNet that SimCLR's authors published.

    Returns:
        Their positions, ascending.

    Raises:
        UsageError: if there is no such file, or it names an image that is not there or that several have.
    """
    path = pathlib.Path(expand(file))
    if not path.is_file():
        raise UsageError(f"--label_file must be a file with the name of an image in each line. Received: {path}.")
    wanted = list(
        dict.fromkeys(
            line.strip()
            for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            if line.strip()
        )
    )
    if not wanted:
        raise UsageError(f"--label_file must name at least one image. Received: the empty {path}.")
    named: dict[str, list[int]] = {}
    for position in range(source.num_examples):
        name = source.name_of(position)
        for key in {name, name.rpartition("/")[2]}:
            named.setdefault(key, []).append(position)
    unknown = [name for name in wanted if name not in named]
    ambiguous = [name for name in wanted if len(named.get(name, ())) > 1]
    for problem, names in (("are not in", unknown), ("stand for several images of", ambiguous)):
        if names:
            raise UsageError(
                f"{len(names)} of the {len(wanted)} images named by --label_file {problem} {source.name}. "
                f"Received: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}."
            )
    return np.sort([named[name][0] for name in wanted])
