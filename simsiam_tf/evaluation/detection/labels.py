"""Writes labels on a picture, beside each other where there is room."""

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

_TRIES = 8  # places above and below that a label tries before it covers another
_MARGIN = 2  # pixels at the left and the right of the text


class Labels:
    """Writes short texts on a picture, each on a ground of its colour.

    A label that would cover an earlier one moves down or up, so write the most important first.

    Args:
        picture: the picture to write on.
        size: the height of the letters, pixels.

    Example:
        >>> labels = Labels(Image.new("RGB", (100, 100)), size=12)
        >>> labels.write((10, 40), "cat 0.93", (200, 0, 0))
        >>> labels.write((10, 40), "dog 0.61", (0, 0, 200))
        >>> [top for left, top, right, low in labels.rectangles] == [40, 40 + labels.height]
        True
    """

    def __init__(self, picture: Image.Image, size: int):
        self._size = picture.size
        self._draw = ImageDraw.Draw(picture)
        self._font = ImageFont.load_default(size)
        self.height = round(self._font.getbbox("Ag")[3]) + 2
        self.rectangles: list[tuple[int, int, int, int]] = []

    def write(self, place: tuple[float, float], text: str, colour: Colour) -> None:
        """Writes a label.

        Args:
            place: the column and the row of its upper left corner. It is moved into the picture.
            text: the text.
            colour: the colour of the ground. The text is black or white, whichever is easier to read.
        """
        width = round(self._font.getbbox(text)[2]) + 2 * _MARGIN
        steps = [0, *(step for distance in range(1, _TRIES // 2 + 1) for step in (distance, -distance))]
        places = [self._rectangle(place[0], place[1] + step * self.height, width) for step in steps]
        x1, y1, x2, y2 = next((rectangle for rectangle in places if not self._covers(rectangle)), places[0])
        self.rectangles.append((x1, y1, x2, y2))
        self._draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=colour)
        brightness = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
        self._draw.text((x1 + _MARGIN, y1), text, fill="black" if brightness > 140 else "white", font=self._font)

    def _rectangle(self, x: float, y: float, width: int) -> tuple[int, int, int, int]:
        left = max(0, min(round(x), self._size[0] - width))
        top = max(0, min(round(y), self._size[1] - self.height))
        return left, top, left + width, top + self.height

    def _covers(self, rectangle: tuple[int, int, int, int]) -> bool:
        x1, y1, x2, y2 = rectangle
        return any(x1 < right and left < x2 and y1 < low and top < y2 for left, top, right, low in self.rectangles)
