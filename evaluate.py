"""Judges a run of train.py, or exports its backbone: the command of simsiam_tf/cli/evaluate.py."""

from simsiam_tf.cli.evaluate import main

if __name__ == "__main__":
    main()
