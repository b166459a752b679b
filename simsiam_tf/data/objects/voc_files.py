"""Reads the XML files of VOC, which name the objects of an image each, and the lists of its splits."""

import dataclasses
import math
import os
import pathlib
import re
from xml.etree import ElementTree
from xml.parsers import expat

from simsiam_tf.data.objects.coco_file import is_elsewhere
from simsiam_tf.errors import check
from simsiam_tf.files import is_file, is_folder, read_regular, read_text

_WITH_YEAR = re.compile(r"(\d{4})_(.+)")
# No image has so many objects that its file is longer.
_LONGEST_FILE = 16 << 20
# No image that can be read has a longer side, in pixels.
_LONGEST_SIDE = 2.0**31 - 1


@dataclasses.dataclass(frozen=True)
class ImageOfSplit:
    """Says where an image of a split and its objects are.

    Attributes:
        folder: the folder that holds JPEGImages and Annotations.
        name: the name of the image without its ending.
    """

    folder: pathlib.Path
    name: str

    @property
    def annotation(self) -> pathlib.Path:
        """Returns the path of the XML file."""
        return self.folder / "Annotations" / f"{self.name}.xml"


@dataclasses.dataclass(frozen=True)
class NamedObject:
    """Holds an object as a file has it.

    Attributes:
        name: the name of its class.
        box: left, top, right and bottom in pixels, where the first pixel reaches from 0 to 1; `None` if it has none.
        difficult: whether it is marked as difficult.
    """

    name: str
    box: tuple[float, float, float, float] | None
    difficult: bool


@dataclasses.dataclass(frozen=True)
class AnnotationFile:
    """Holds what a file says of an image.

    Attributes:
        ending: the ending of the name of the image's file, with its dot.
        size: the height and width of the image; `None` if the file does not say.
        objects: its objects.
    """

    ending: str
    size: tuple[int, int] | None
    objects: tuple[NamedObject, ...]


def has_years(split: str) -> bool:
    """Returns whether all parts of a split's name begin with a year, as those of the official sets do."""
    return all(_WITH_YEAR.fullmatch(part) for part in split.split("+"))


def images_of_split(root: pathlib.Path, split: str) -> list[ImageOfSplit]:
    """Reads the names of the images of a split.

    Args:
        root: the folder that holds VOC2007 or the like; or JPEGImages, Annotations and ImageSets.
        split: the name of the split, such as `2007_trainval`, `trainval`, or several with + between them.

    Raises:
        UsageError: if there is no such split, or it names an image twice.
    """
    found: dict[ImageOfSplit, None] = {}
    for part in split.split("+"):
        match = _WITH_YEAR.fullmatch(part)
        folder, name = (root / f"VOC{match[1]}", match[2]) if match else (root, part)
        rule = (
            "--data_dir must be the folder that holds VOC2007 or the like, for splits such as 2007_trainval, or "
            "JPEGImages, Annotations and ImageSets, for splits such as trainval."
        )
        check(is_folder(folder / "Annotations"), rule, f"{root}, for the split {part}")
        listed = folder / "ImageSets" / "Main" / f"{name}.txt"
        check(is_file(listed), "A split of VOC must have a list in ImageSets/Main.", f"{part}, without {listed}")
        for line in read_text(listed).splitlines():
            image = ImageOfSplit(folder, line.strip())
            if not image.name:
                continue
            check(
                not is_elsewhere(image.name), "A list of a split must name images without a folder.", repr(image.name)
            )
            check(image not in found, f"The split {split} must name each image once.", f"{image.name} in {folder}")
            found[image] = None
    check(bool(found), "A split of VOC must name images.", f"{split}, which names none")
    return list(found)


def read_annotation(path: pathlib.Path) -> AnnotationFile:
    """Reads an XML file of VOC.

    Raises:
        ValueError: with the reason, if it is not one, or could make the parser load or build what is not in it.
        OSError: if it cannot be read.
    """
    content = read_regular(path, _LONGEST_FILE)
    try:
        _refuse_definitions(content)
        root = ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"it is no XML ({error})") from None
    if root.tag != "annotation":
        raise ValueError(f"it is no annotation of VOC, but begins with {root.tag[:40]!r}")
    size, sides = root.find("size"), None
    if size is not None:
        height, width = _number(size, "height"), _number(size, "width")
        fits = all(math.isfinite(side or 0) and 1 <= (side or 0) <= _LONGEST_SIDE for side in (height, width))
        sides = (int(height), int(width)) if height and width and fits else None
    ending = os.path.splitext(os.path.basename((root.findtext("filename") or "").strip()))[1]
    return AnnotationFile(ending or ".jpg", sides, tuple(map(_object, root.findall("object"))))


def _refuse_definitions(content: bytes) -> None:
    """Raises a ValueError if a file defines types or entities, which VOC's do not, and with which a file can grow."""

    def refuse(*_: object) -> None:
        raise ValueError("it has a <!DOCTYPE ...>, which is not read")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.Parse(content, True)


def _object(element: ElementTree.Element) -> NamedObject:
    corners = element.find("bndbox")
    box = None
    if corners is not None:
        left, top, right, bottom = (_number(corners, side) for side in ("xmin", "ymin", "xmax", "ymax"))
        if left is not None and top is not None and right is not None and bottom is not None:
            box = (left - 1, top - 1, right, bottom)  # VOC counts pixels from 1, and the last one is in the box
    return NamedObject((element.findtext("name") or "").strip(), box, bool(_number(element, "difficult")))


def _number(element: ElementTree.Element, name: str) -> float | None:
    """Returns a number below an element; `None` if there is none."""
    try:
        return float(element.findtext(name) or "")
    except ValueError:
        return None
