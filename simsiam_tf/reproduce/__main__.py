"""`python -m simsiam_tf.reproduce`: runs simsiam_tf/cli/reproduce.py."""

import runpy

if __name__ == "__main__":
    runpy.run_module("simsiam_tf.cli.reproduce", run_name="__main__", alter_sys=True)
