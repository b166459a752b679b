"""Draws what the network sees: `python -m simsiam_tf.augment.preview --flagfile=RECIPE --out=preview.png`.

Takes the flags of train.py and draws the views of that very run. Each column is an image: itself first, then its two
views in each epoch.
"""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from flags import definitions
from simsiam_tf.settings import UsageError, expand

_GAP = 2  # white pixels between images
_EPOCH_GAP = 8
_VISIBLE = 96  # pixels to which smaller views are enlarged


def main() -> None:
    """Writes the picture."""
    picture, data, augment, seed = definitions.preview_config()
    path = pathlib.Path(expand(picture.out))
    if path.exists():
        raise UsageError(f"--out exists and is not overwritten; move it away or name another file. Received: {path}.")
    if path.suffix.lower() != ".png":
        raise UsageError(f"--out must end in .png. Received: {path}.")
    from PIL import Image

    from simsiam_tf.augment import ops, policies  # TensorFlow loads only once the flags are in order
    from simsiam_tf.data.pipeline import Order, views_of
    from simsiam_tf.data.sources import listing_bad_images, open_source

    views, size = policies.resolve(augment), data.image_size
    source = open_source(data, data.train_split).first(data.max_examples)
    count = min(picture.num_images, source.num_examples)
    index = Order(source.num_examples, count, seed).examples(np.arange(count))[1].numpy()
    with listing_bad_images([source], None):
        rows = [views_of(source, policies.POLICIES["none"][:1], size, seed, 0, index)]
        rows += [views_of(source, views, size, seed, epoch, index) for epoch in range(picture.num_epochs)]
    zoom = max(1, _VISIBLE // size)
    sheet = _sheet([[ops.to_levels(x).numpy().repeat(zoom, axis=1).repeat(zoom, axis=2) for x in row] for row in rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
    print(
        f"Wrote {path}: {count} images of {source.name} in columns, and below each its two views in "
        f"{picture.num_epochs} epochs of --augmentation={augment.augmentation}."
    )


def _sheet(groups):
    """One picture of groups of rows of images `[n, S, S, 3] uint8`."""
    strips = []
    for number, group in enumerate(groups):
        if number:
            strips.append(np.full((_EPOCH_GAP, strips[0].shape[1], 3), 255, np.uint8))
        for images in group:
            padded = np.pad(images, ((0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=255)
            strips.append(np.concatenate(list(padded), axis=1))
    return np.concatenate(strips)


if __name__ == "__main__":
    definitions.run(definitions.define_preview_flags, main)
