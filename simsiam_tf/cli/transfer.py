"""Fine-tunes a detector from a backbone, and measures its average precision (Table 5).

python transfer.py --recipe=transfer/made --backbone=runs/made --workdir=runs/detector
"""

import os

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.quiet import loading_tensorflow
from simsiam_tf.cli.transfer_flags import define_transfer_flags, transfer_config


def main() -> None:
    """Runs the command."""
    run(define_transfer_flags, fine_tune, __doc__)


def fine_tune() -> None:
    """Runs the fine-tuning that the flags ask for."""
    config = transfer_config()
    # As in train.py: by default TensorFlow leaves oneDNN out on a CPU without AVX-512, where it is faster.
    if config.devices.deterministic:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    else:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with loading_tensorflow():
        from simsiam_tf.training.transfer import transfer

    transfer(config)


if __name__ == "__main__":
    main()
