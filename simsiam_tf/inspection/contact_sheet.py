"""Draws the odd images small, each with its name, and arranges them in one picture."""

import base64
import dataclasses
import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from simsiam_tf.data.decoding import open_image, room
from simsiam_tf.data.pixels import to_rgb
from simsiam_tf.data.sight import array_of
from simsiam_tf.files import printable
from simsiam_tf.inspection.findings import Odd
from simsiam_tf.inspection.splits import Split

# Pixels. Small images are enlarged by a whole factor.
_SIDE, _CAPTION, _GAP = 144, 30, 8
_COLUMNS = 8
_LETTERS = 23  # of Pillow's own font that fit below a picture
_EMPTY = (230, 230, 230)


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """Holds a small picture of an odd image.

    Attributes:
        kind: what is odd.
        odd: the image.
        picture: the small picture in RGB; grey if the image cannot be shown.
    """

    kind: str
    odd: Odd
    picture: Image.Image

    @property
    def data_uri(self) -> str:
        """Returns the picture as a data URI."""
        file = io.BytesIO()
        self.picture.save(file, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def tiles_of(odd: Mapping[str, Sequence[Odd]], splits: Sequence[Split], each: int = 8) -> list[Tile]:
    """Draws the first few images of each kind.

    Args:
        odd: the images, by the kind of what is odd.
        splits: the splits that they are from.
        each: the number of images of a kind to draw.
    """
    of_role = {split.role: split for split in splits}
    return [
        Tile(kind, one, _picture(of_role[one.role], one.position))
        for kind, found in odd.items()
        for one in found[:each]
    ]


def _picture(split: Split, position: int) -> Image.Image:
    try:
        return _small(_opened(split, position))
    except Exception:  # Pillow raises errors of many types; the reason is in the caption
        return Image.new("RGB", (_SIDE, _SIDE), _EMPTY)


def _opened(split: Split, position: int) -> Image.Image:
    if split.in_memory:
        return Image.fromarray(array_of(split.source, position))
    with split.opened(position) as content:
        image = open_image(content, split.pixels)
        with room.for_pixels(image.width * image.height):
            image.draft(None, (_SIDE, _SIDE))
            return to_rgb(image, split.pixels).copy()


def _small(image: Image.Image) -> Image.Image:
    longer = max(image.size)
    zoom = _SIDE // longer if longer < _SIDE else _SIDE / longer
    size = max(1, round(image.width * zoom)), max(1, round(image.height * zoom))
    return image.resize(size, Image.Resampling.NEAREST if zoom >= 1 else Image.Resampling.BOX)


def contact_sheet(tiles: Sequence[Tile]) -> Image.Image:
    """Arranges small pictures in one, each above the end of its name and what is odd.

    Args:
        tiles: the small pictures, one at least.
    """
    columns = min(_COLUMNS, len(tiles))
    cell = _SIDE + _GAP, _SIDE + _CAPTION + _GAP
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        x, y = _GAP + column * cell[0], _GAP + row * cell[1]
        left, top = (_SIDE - tile.picture.width) // 2, (_SIDE - tile.picture.height) // 2
        sheet.paste(tile.picture, (x + left, y + top))
        why = tile.odd.why if tile.odd.why.startswith(tile.kind) else f"{tile.kind}: {tile.odd.why}"
        draw.text((x, y + _SIDE + 2), _line(tile.odd.name, from_end=True), (0, 0, 0))
        draw.text((x, y + _SIDE + 15), _line(why), (90, 90, 90))
    return sheet


def _line(text: str, from_end: bool = False) -> str:
    """Returns as much of a text as fits below a picture, in the characters that any font has."""
    text = printable(text).encode("ascii", "backslashreplace").decode()
    if len(text) <= _LETTERS:
        return text
    return f"...{text[3 - _LETTERS :]}" if from_end else f"{text[: _LETTERS - 3]}..."
