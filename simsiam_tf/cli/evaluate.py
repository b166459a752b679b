"""Evaluates a run of train.py, or exports its backbone.

python evaluate.py --protocol=knn,linear,report,export --workdir=runs/cifar10
"""

import dataclasses
import os
import sys

# After a matrix product, NumPy's threads keep their cores busy for 2^4 cycles, waiting for another product. By default
# they wait for about as long as kNN needs to search the result, and slow the search down (docs/results/evaluation.md).
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_evaluation_flags, evaluation_config
from simsiam_tf.cli.quiet import loading_tensorflow
from simsiam_tf.training.stop_signals import call, command_line


def main() -> None:
    """Runs the command."""
    run(define_evaluation_flags, judge, __doc__)


def judge() -> None:
    """Runs the protocols that the flags ask for. Fine-tuning among others runs last, in a process of its own."""
    workdirs, options, data_overrides, devices = evaluation_config()
    protocols = tuple(name for name in options.task.protocol if name != "finetune")
    if protocols:
        # By default TensorFlow does not use oneDNN on a CPU without AVX-512. It computes features a third faster there.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with loading_tensorflow():
        from simsiam_tf.evaluation.evaluate import evaluate

    task = dataclasses.replace(options.task, protocol=protocols or ("finetune",))
    evaluate(workdirs, dataclasses.replace(options, task=task), data_overrides, devices)
    if protocols and "finetune" in options.task.protocol:
        _finetune_apart()


def _finetune_apart() -> None:
    """Runs this command again for fine-tuning alone, without oneDNN, so that it is the same to the bit when resumed."""
    environment = dict(os.environ)
    if environment["TF_ENABLE_ONEDNN_OPTS"] == "1":
        del environment["TF_ENABLE_ONEDNN_OPTS"]
    code, _ = call(
        [*command_line("evaluate"), *sys.argv[1:], "--protocol=finetune"], environment
    )  # which prints why it ended
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
