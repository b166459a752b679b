"""Holds the findings of an inspection: names and numbers, as text, JSON and the page show them."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class SplitFacts:
    """Holds the size of a split.

    Attributes:
        role: the use of the images: `training`, `labelled` or `evaluation`.
        name: the name of the split.
        images: the number of images.
        classes: the number of images of each class, by its name.
        without_class: the number of images without a class, where others have one.
        headers_read: the number of images whose headers were read.
        pixels_read: the number of images whose pixels were read.
    """

    role: str
    name: str
    images: int
    classes: dict[str, int]
    without_class: int
    headers_read: int
    pixels_read: int


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Holds the sizes of images of one kind, in pixels: the least, the median and the greatest."""

    kind: str
    images: int
    width: tuple[int, int, int]
    height: tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Values:
    """Holds the least and the greatest value in the sample's images of one kind."""

    kind: str
    images: int
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Group:
    """Holds images that are equal or nearly equal.

    Attributes:
        names: the names of the images, by the role of their split.
        classes: the names of their classes, if these differ.
        one_file: whether they are one file under several names.
        confirmed: whether all of their bytes were compared.
        bits: in how many bits the hashes of a near pair differ; 0 for equal images.
    """

    names: dict[str, list[str]]
    classes: list[str] = dataclasses.field(default_factory=list)
    one_file: bool = False
    confirmed: bool = True
    bits: int = 0


@dataclasses.dataclass(frozen=True)
class Odd:
    """Holds an image that is worth a look: its split's role, position and name, and why it is listed."""

    role: str
    position: int
    name: str
    why: str


@dataclasses.dataclass(eq=False)
class Findings:
    """Holds everything that an inspection found.

    Attributes:
        summary: the lines with which a run would begin.
        splits: the sizes of the splits.
        questions: what must be decided before a run, in sentences.
        left_out: the names of the files that are not used, by the reason.
        sizes: the sizes of the images, by the split's role, for each kind.
        values: the values of the sample's images, by the split's role, for each kind.
        identical: groups of equal images within each split, by its role.
        identical_between: groups of equal images in the evaluation split and another.
        near: groups of near-duplicates within each split, by its role.
        near_between: pairs of near-duplicates in the evaluation split and another.
        odd: the images worth a look, by the kind of what is odd.
        notes: what most images have in common, and what was not looked at, in sentences.
    """

    summary: list[str]
    splits: list[SplitFacts]
    questions: list[str]
    left_out: dict[str, list[str]]
    sizes: dict[str, list[Sizes]]
    values: dict[str, list[Values]]
    identical: dict[str, list[Group]]
    identical_between: list[Group]
    near: dict[str, list[Group]]
    near_between: list[Group]
    odd: dict[str, list[Odd]]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        r"""Returns the findings as JSON knows them. Bytes of names that are not UTF-8 become escapes, as `\xff`."""
        return {"format": 1, **_escaped(dataclasses.asdict(self))}


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value
