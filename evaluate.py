"""Judges a run of train.py, or exports its backbone.

python evaluate.py --protocol=knn|linear|export --workdir=runs/cifar10 [--dataset=... --data_dir=...]
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from flags import definitions


def main() -> None:
    workdir, options, data_overrides = definitions.evaluation_config()
    from simsiam_tf.evaluation.protocols import evaluate  # TensorFlow loads only once the flags are in order

    evaluate(workdir, options, data_overrides)


if __name__ == "__main__":
    definitions.run(definitions.define_evaluation_flags, main)
