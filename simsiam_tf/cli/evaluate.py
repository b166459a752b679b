"""Judges a run of train.py, or exports its backbone.

python evaluate.py --protocol=knn|linear|finetune|diagnostics|report|embed|neighbours|export --workdir=runs/cifar10
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# For how long NumPy's threads wait for another product of matrices (2^4 cycles): by default about as long as kNN needs
# to look through one's result, from which they take the cores (docs/results/evaluation.md).
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_evaluation_flags, evaluation_config


def main() -> None:
    """Runs the command."""
    run(define_evaluation_flags, judge, __doc__)


def judge() -> None:
    """Carries out the protocol that the flags ask for."""
    workdirs, options, data_overrides, devices = evaluation_config()
    if options.task.protocol != "finetune":
        # TensorFlow leaves oneDNN out where a CPU has no AVX-512. With it features come a third faster; training does
        # too, but no longer with the same bits each time (docs/results/speed.md).
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from simsiam_tf.evaluation.evaluate import evaluate

    evaluate(workdirs, options, data_overrides, devices)


if __name__ == "__main__":
    main()
