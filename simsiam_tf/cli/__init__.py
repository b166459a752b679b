"""Small commands: `python -m simsiam_tf.cli.<name>`."""
