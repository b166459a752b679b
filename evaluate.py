"""Evaluates a run of train.py, or exports its backbone, by the command in simsiam_tf/cli/evaluate.py."""

from simsiam_tf.cli.evaluate import main

if __name__ == "__main__":
    main()
