"""Runs the step again that ended a run because a number was not finite: `python -m simsiam_tf.cli.replay --workdir=W`.

It says whether views, features, loss, gradient or weights are the first that are not finite, and of which images.
"""

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_workdir_flag, workdir_flag
from simsiam_tf.cli.quiet import loading_tensorflow


def main() -> None:
    """Runs the command."""
    run(define_workdir_flag, replay, __doc__)


def replay() -> None:
    """Runs the step of the run that the flags name."""
    with loading_tensorflow():
        from simsiam_tf.training.replay import replay as replay_step
    replay_step(workdir_flag())


if __name__ == "__main__":
    main()
