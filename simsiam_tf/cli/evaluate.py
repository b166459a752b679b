"""Evaluates a run of train.py, or exports its backbone.

python evaluate.py --protocol=knn|linear|finetune|diagnostics|report|embed|neighbours|export --workdir=runs/cifar10
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# After a matrix product, NumPy's threads keep their cores busy for 2^4 cycles, waiting for another product. By default
# they wait for about as long as kNN needs to search the result, and slow the search down (docs/results/evaluation.md).
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_evaluation_flags, evaluation_config


def main() -> None:
    """Runs the command."""
    run(define_evaluation_flags, judge, __doc__)


def judge() -> None:
    """Runs the protocol that the flags ask for."""
    workdirs, options, data_overrides, devices = evaluation_config()
    if options.task.protocol != "finetune":
        # By default TensorFlow does not use oneDNN on a CPU without AVX-512. It computes features a third faster there.
        # Fine-tuning does without it, because training would no longer be the same to the bit (docs/results/speed.md).
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from simsiam_tf.evaluation.evaluate import evaluate

    evaluate(workdirs, options, data_overrides, devices)


if __name__ == "__main__":
    main()
