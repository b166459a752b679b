"""Draws the views that a run trains on: `python -m simsiam_tf.cli.preview --recipe=NAME --out=preview.png`.

It takes the flags of train.py, and draws exactly the views of that run. Each column shows one image, and below it the
two views in each epoch.
"""

import logging

import numpy as np

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_preview_flags, preview_config
from simsiam_tf.cli.quiet import load_tensorflow_for, loading_tensorflow
from simsiam_tf.config.messages import RESULT
from simsiam_tf.errors import UsageError
from simsiam_tf.files import check_output, exists, replacing, user_path

_log = logging.getLogger("simsiam_tf.cli.preview")  # __name__ is "__main__" where the command is run


def main() -> None:
    """Runs the command."""
    run(define_preview_flags, draw, __doc__)


def draw() -> None:
    """Draws the picture that the flags ask for, and writes it."""
    picture, data, augment, seed = preview_config()
    path = user_path(picture.out)
    load_tensorflow_for(picture.out)
    if exists(path):
        raise UsageError(f"--out exists and is not overwritten; move it away or name another file. Received: {path}.")
    if path.suffix.lower() != ".png":
        raise UsageError(f"--out must end in .png. Received: {path}.")
    check_output(path)
    from PIL import Image

    with loading_tensorflow():
        from simsiam_tf.augment import policies
        from simsiam_tf.data.order import ShuffledOrder
        from simsiam_tf.data.sources import listing_bad_images, open_source
        from simsiam_tf.evaluation.thumbnails import contact_sheet, view_rows

    views, size = policies.resolve(augment), data.image_size
    source = open_source(data, data.train_split).first(data.max_examples)
    count = min(picture.num_images, source.num_examples)
    index = ShuffledOrder(source.num_examples, count, seed).examples(np.arange(count))[1].numpy()
    with listing_bad_images([source], None):
        rows = view_rows(source, views, size, seed, index, picture.num_epochs)
    with replacing(path) as draft:
        Image.fromarray(contact_sheet(rows)).save(draft, "PNG")
    _log.log(
        RESULT,
        f"Wrote {path}: {count} images of {source.name} in columns, and below each its views in "
        f"{picture.num_epochs} epochs of --augmentation={augment.augmentation}.",
    )


if __name__ == "__main__":
    main()
