"""Says whether a machine is all right, and whether a run would be: for `python -m simsiam_tf.cli.doctor`."""
