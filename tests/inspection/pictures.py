"""Pictures to compare: smooth ones, each of other colours."""

import numpy as np
from PIL import Image


def picture(seed, size=(150, 100)):
    colours = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)


def save(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path
