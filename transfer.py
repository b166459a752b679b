"""Fine-tunes a detector from a backbone, by the command in simsiam_tf/cli/transfer.py."""

from simsiam_tf.cli.transfer import main

if __name__ == "__main__":
    main()
