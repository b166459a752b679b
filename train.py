"""Pre-trains a backbone without labels, by the command in simsiam_tf/cli/train.py."""

from simsiam_tf.cli.train import main

if __name__ == "__main__":
    main()
