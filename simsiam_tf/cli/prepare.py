"""Prepares a data set once: `python -m simsiam_tf.cli.prepare --dataset=folder --data_dir=DIR --out=OUT`.

It writes the images that a run would use as shards of plain RGB JPEGs, which training reads without Python:
`train.py --dataset=shards --data_dir=OUT`. Upright RGB JPEGs are copied; all others are converted. Images that cannot
be read are left out, and listed in OUT/index.json. A preparation that was interrupted goes on when it is started again.
It takes the flags of train.py, and prepares the images that such a run would use.
"""

import logging

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_prepare_flags, prepare_config
from simsiam_tf.cli.quiet import loading_tensorflow
from simsiam_tf.config.messages import RESULT
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.errors import check
from simsiam_tf.files import expand, expand_several, is_below, printable

_log = logging.getLogger("simsiam_tf.cli.prepare")  # __name__ is "__main__" where the command is run


def main() -> None:
    """Runs the command."""
    run(define_prepare_flags, prepare_images, __doc__)


def prepare_images() -> None:
    """Prepares the data set that the flags name, and says what was written."""
    config, data = prepare_config()
    out = expand(config.out)
    check(
        not any(is_below(out, root) for root in expand_several(data.data_dir)),
        "--out must not be below --data_dir.",
        printable(out),
    )
    check(data.dataset != "shards", "Shards are prepared already.", "--dataset=shards")
    with loading_tensorflow():
        from simsiam_tf.preparation.prepare import prepare
    _log.log(RESULT, prepare(DataSet(data), config))


if __name__ == "__main__":
    main()
