"""Runs the command simsiam_tf/cli/preview.py as `python -m simsiam_tf.augment.preview`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("simsiam_tf.cli.preview", run_name="__main__", alter_sys=True)
