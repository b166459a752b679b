"""Turns photographs upright inside a TensorFlow graph, by what the camera noted in the file."""

import tensorflow as tf

# A JPEG can hold no more than this of the camera's notes, EXIF, which stand at its beginning.
_LONGEST = 65536
# What stands before the notes in a JPEG and in a PNG.
_MARKS = (b"Exif\0\0", b"eXIf")
_ORIENTATION = 0x0112
_MOST_ENTRIES = 512


def orientation_of(data: tf.Tensor) -> tf.Tensor:
    """Reads how the camera was held, from the content of a JPEG or PNG file.

    Args:
        data: the content of the file, a string.

    Returns:
        The orientation of EXIF, 1 to 8, a scalar int64; 1, which is upright, if the file does not say it.
    """
    content = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 0, _LONGEST), tf.uint8), tf.int64)
    content = tf.concat([content, tf.zeros([16], tf.int64)], 0)  # so that there is a byte to read in any file
    ends = [_end_of(content, mark) for mark in _MARKS]
    begin = tf.where(ends[0] >= 0, ends[0], ends[1])

    def number(at: tf.Tensor, length: int) -> tf.Tensor:
        places = at[..., tf.newaxis] + tf.range(length, dtype=tf.int64)
        parts = tf.gather(content, tf.clip_by_value(places, 0, tf.size(content, tf.int64) - 1))
        is_little = content[tf.maximum(begin, 0)] == ord("I")  # Intel's order of bytes, or Motorola's
        ordered = tf.where(is_little, parts, tf.reverse(parts, [-1]))
        return tf.reduce_sum(ordered * [256**i for i in range(length)], -1)

    directory = begin + number(begin + 4, 4)
    count = tf.minimum(number(directory, 2), _MOST_ENTRIES)
    entries = directory + 2 + 12 * tf.range(count)
    values = tf.where(number(entries, 2) == _ORIENTATION, number(entries + 8, 2), 0)
    found = tf.reduce_max(tf.concat([values, [0]], 0))
    return tf.where((begin >= 0) & (found >= 1) & (found <= 8), found, 1)


def _end_of(content: tf.Tensor, mark: bytes) -> tf.Tensor:
    """Returns the place after the first occurrence of a mark, or -1 if there is none."""
    last = tf.size(content, tf.int64) - len(mark)
    is_there = tf.reduce_all(tf.stack([content[i : last + i] == byte for i, byte in enumerate(mark)]), 0)
    place = tf.argmax(is_there)
    return tf.where(tf.reduce_any(is_there), place + len(mark), -1)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns an image upright.

    Args:
        image: `[H, W, C]`.
        orientation: what `orientation_of` gives.

    Returns:
        The image, `[H, W, C]` or `[W, H, C]`.
    """
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    is_one_of = lambda *those: tf.reduce_any(orientation == those)  # noqa: E731
    image = tf.cond(is_one_of(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(is_one_of(3, 4, 7, 8), lambda: image[::-1], lambda: image)
