"""Runs simsiam_tf/cli/reproduce.py for `python -m simsiam_tf.reproduce`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("simsiam_tf.cli.reproduce", run_name="__main__", alter_sys=True)
