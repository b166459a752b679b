"""Pre-trains a backbone without labels: the command of simsiam_tf/cli/train.py."""

from simsiam_tf.cli.train import main

if __name__ == "__main__":
    main()
