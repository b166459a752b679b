"""Holds the commands, each run as `python -m simsiam_tf.cli.<name>`."""
