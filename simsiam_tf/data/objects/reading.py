"""Reads images with their objects, resized, onto the canvases of a batch."""

import dataclasses

import numpy as np
from PIL import Image

from simsiam_tf.data import decoding
from simsiam_tf.data.encoded import EncodedImages
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.resize import Change, change_boxes, change_masks, fitted, resized
from simsiam_tf.data.pixels import to_rgb, upright_size

# The number of objects in a batch is a multiple of this, so that sets differ less in the shapes of their batches.
_MULTIPLE = 4


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Says which images a batch is of.

    Attributes:
        index: the positions of the images, `[B] int64`.
        short_sides: the lengths of their shorter sides, `[B] int64`.
        flipped: whether they are flipped, `[B] bool`.
        canvas: the height and width of the canvas.
        replace: whether an unreadable image is replaced by the next one; otherwise it is left out.
    """

    index: np.ndarray
    short_sides: np.ndarray
    flipped: np.ndarray
    canvas: tuple[int, int]
    replace: bool


class ObjectReader:
    """Reads batches of images with their objects.

    Args:
        annotated: the images.
        long_side: the length in pixels that the longer side of an image has at most.
        with_objects: whether the objects are read too, and not the images alone.
    """

    def __init__(self, annotated: AnnotatedImages, long_side: int, with_objects: bool) -> None:
        self._annotated, self._long_side, self._with_objects = annotated, long_side, with_objects
        self._has_masks = with_objects and annotated.has_masks
        self._levels = None if annotated.source.files else annotated.source.images.numpy()  # type: ignore[union-attr]
        self.room = max(1, -(-annotated.max_objects // _MULTIPLE)) * _MULTIPLE

    def read(self, wanted: Wanted) -> tuple[list[np.ndarray], np.ndarray]:
        """Reads a batch, in the threads that decode images.

        Args:
            wanted: which images the batch is of.

        Returns:
            The images, their sizes and, if asked for, their boxes, classes and masks, as `detection_batches` describes
            them; and the positions of the images that are shown, `[B] int64`, -1 where there is none.

        Raises:
            UsageError: if too many images are unreadable.
        """
        arrays = self._empty(len(wanted.index), wanted.canvas)

        def load(i: int) -> int:
            return self._load([array[i] for array in arrays], wanted, i)

        shown = np.array(list(decoding.threads().map(load, range(len(wanted.index)))), np.int64)
        return arrays, shown

    def _empty(self, length: int, canvas: tuple[int, int]) -> list[np.ndarray]:
        height, width = canvas
        images = decoding.empty_images((length, height, width, 3))
        images.fill(0)
        arrays = [images, np.zeros((length, 2), np.int32)]
        if self._with_objects:
            arrays += [np.zeros((length, self.room, 4), np.float32), np.full((length, self.room), -1, np.int32)]
        if self._has_masks:
            arrays.append(np.zeros((length, self.room, height, width // 8), np.uint8))
        return arrays

    def _load(self, arrays: list[np.ndarray], wanted: Wanted, i: int) -> int:
        """Fills in an image's place in each array; returns the position of the image that is shown, or -1."""
        files, count, first = self._annotated.source.files, len(self._annotated), int(wanted.index[i])
        for number in range(count if wanted.replace else 1):
            position = (first + number) % count
            if files is not None and files.unreadable.is_closed:
                return -1
            try:
                change = self._change(position, wanted, i)
                self._fill(arrays, position, change)
                return position
            except Exception as error:  # Pillow raises errors of many types for broken files
                if files is None:
                    raise
                files.skip(position, error)
        return -1

    def _change(self, position: int, wanted: Wanted, i: int) -> Change:
        size = self._annotated.objects[position].size
        if size is None:
            files = self._annotated.source.files
            assert files is not None
            decoding.open_image(files.load(position), files.pixels)  # says why the size is not known
            raise OSError("its size could not be read when the set was opened")
        ((height, width),) = resized(np.array([size]), wanted.short_sides[i : i + 1], self._long_side)
        return Change(size, fitted((int(height), int(width)), wanted.canvas), bool(wanted.flipped[i]))

    def _fill(self, arrays: list[np.ndarray], position: int, change: Change) -> None:
        image = self._image(position, change)
        height, width = change.new_size
        arrays[0][:height, :width] = image[:, ::-1] if change.flipped else image
        arrays[1][:] = change.new_size
        if not self._with_objects:
            return
        objects = self._annotated.objects[position].to_train()
        arrays[2][: len(objects)] = change_boxes(objects.boxes, change)
        arrays[3][: len(objects)] = objects.classes
        if self._has_masks:
            bits = np.packbits(change_masks(objects, change), axis=-1)
            arrays[4][: len(objects), :height, : bits.shape[-1]] = bits

    def _image(self, position: int, change: Change) -> np.ndarray:
        """Reads an image and resizes it with Pillow's antialiased bilinear filter; `[H, W, 3] uint8`."""
        height, width = change.new_size
        if self._levels is not None:
            image = Image.fromarray(self._levels[position])
            return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        files = self._annotated.source.files
        assert files is not None
        return _decoded(files, position, change)


def _decoded(files: EncodedImages, position: int, change: Change) -> np.ndarray:
    (height, width), (new_height, new_width) = change.size, change.new_size
    encoded = decoding.open_image(files.load(position), files.pixels)
    found = upright_size(encoded, files.pixels)
    if found != (width, height):
        raise OSError(
            f"it has {found[0]} x {found[1]} pixels, and its annotation says {width} x {height} "
            f"(--exif={files.pixels.exif})"
        )
    with decoding.room.for_pixels(width * height):
        image = to_rgb(encoded, files.pixels)
        return np.asarray(image.resize((new_width, new_height), Image.Resampling.BILINEAR))
