"""Pre-trains a backbone without labels.

python train.py --flagfile=flags/recipes/cifar10.flags --workdir=runs/cifar10 [--data_dir=...]
"""

import os

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_training_flags, training_config
from simsiam_tf.cli.quiet import loading_tensorflow


def main() -> None:
    """Runs the command."""
    run(define_training_flags, train, __doc__)


def train() -> None:
    """Runs the training that the flags ask for."""
    config = training_config()
    # By default TensorFlow leaves oneDNN out on a CPU without AVX-512, where training is 1.7 times as fast with it. Its
    # results differ in their last bits from run to run (docs/results/speed.md).
    if config.devices.deterministic:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    else:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with loading_tensorflow():
        from simsiam_tf.training.pretrain import pretrain

    pretrain(config)


if __name__ == "__main__":
    main()
