"""What the benchmarks share: the package on Python's path, fresh processes, and results as JSON.

Importing it makes `simsiam_tf` importable from a checkout and TensorFlow quiet, so import it before either.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def make_parser(description: str | None, json_help: str = "write the result to this file") -> argparse.ArgumentParser:
    """Makes a parser of flags that has --json.

    Args:
        description: the docstring of the benchmark.
        json_help: the explanation of --json.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help=json_help)
    return parser


def write_result(result: Any, path: str | None, indent: int | None = None) -> None:
    """Writes a result as JSON, if a path is given.

    Args:
        result: what is written.
        path: the value of --json.
        indent: spaces of each level; on one line by default.
    """
    if path:
        pathlib.Path(path).write_text(json.dumps(result, indent=indent) + "\n")


def measure_apart(command: Sequence[str], **options: Any) -> Any:
    """Runs a command in a fresh process, and returns what the last line of its output holds as JSON.

    Args:
        command: the program and its arguments.
        **options: further options of `subprocess.run`.
    """
    done = subprocess.run(command, **{"stdout": subprocess.PIPE, "text": True, "check": True, **options})
    return json.loads(done.stdout.strip().splitlines()[-1])
