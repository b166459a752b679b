"""Chooses the labelled images that a protocol may use: a share of each class, or those that a file lists."""

import numpy as np

from simsiam_tf.data.sources import Source
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import is_file, read_text, user_path


def balanced_subset(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Draws a random subset with the same number of images from every class.

    Each of the K classes gives round(fraction * N / K) images, and at least one. A class with fewer images gives all
    of them.

    Args:
        labels: the labels of the N images, `[N]`.
        fraction: the share of the N images to draw.
        seed: the seed of the draw.

    Returns:
        The positions of the drawn images, ascending.
    """
    classes = np.unique(labels)
    of_each = max(1, round(fraction * len(labels) / len(classes)))
    rng = np.random.RandomState(seed)
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:of_each] for c in classes]
    return np.sort(np.concatenate(chosen))


def held_out(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Draws the same share of the images of every class at random, to hold them out of training.

    A class of n images gives round(fraction * n), at least one and at most n - 1. A class with a single image gives
    none.

    Args:
        labels: the labels of the N images, `[N]`.
        fraction: the share of each class to draw.
        seed: the seed of the draw.

    Returns:
        The positions of the drawn images, ascending.

    Raises:
        UsageError: if no class has two images.
    """
    rng, chosen = np.random.RandomState(seed), []
    for c in np.unique(labels):
        of_class = rng.permutation(np.flatnonzero(labels == c))
        chosen.append(of_class[: min(max(1, round(fraction * len(of_class))), len(of_class) - 1)])
    rows = np.sort(np.concatenate(chosen))
    check(
        len(rows) > 0,
        "To hold images out, at least one class must have two images.",
        f"{len(labels)} images, all of different classes",
    )
    return rows


def listed_subset(source: Source, file: str) -> np.ndarray:
    """Finds the images that a file lists, one in each line.

    A line holds the name of the image's file, with or without its folder. In a data set without file names it holds
    the image's position. Empty and repeated lines are ignored.

    Args:
        source: the images to search.
        file: the path of the list, for example one of SimCLR's published lists of 1 % and 10 % of ImageNet.

    Returns:
        The positions of the listed images, ascending.

    Raises:
        UsageError: if the file is missing or empty, or if a line fits no image or several images.
    """
    path = user_path(file)
    if not is_file(path):
        raise UsageError(f"--label_file must be a file with the name of an image in each line. Received: {path}.")
    wanted = list(dict.fromkeys(line.strip() for line in read_text(path).splitlines() if line.strip()))
    if not wanted:
        raise UsageError(f"--label_file must name at least one image. Received: the empty {path}.")
    named: dict[str, list[int]] = {}
    for position in range(source.num_examples):
        name = source.name_of(position)
        for key in {name, name.rpartition("/")[2]}:
            named.setdefault(key, []).append(position)
    unknown = [name for name in wanted if name not in named]
    ambiguous = [name for name in wanted if len(named.get(name, ())) > 1]
    for problem, names in (("are not in", unknown), ("match several images of", ambiguous)):
        if names:
            raise UsageError(
                f"{len(names)} of the {len(wanted)} images named by --label_file {problem} {source.name}. "
                f"Received: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}."
            )
    return np.sort([named[name][0] for name in wanted])
