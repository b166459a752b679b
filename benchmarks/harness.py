"""Holds what the benchmarks share: an importable package, fresh processes, and results as JSON.

Import this module before `simsiam_tf` and TensorFlow: it puts the checkout on Python's path, and silences TensorFlow.
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
    """Makes a parser of command-line flags that has --json.

    Args:
        description: the text of --help, which is the docstring of the benchmark.
        json_help: the explanation of --json in --help.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help=json_help)
    return parser


def write_result(result: Any, path: str | None, indent: int | None = None) -> None:
    """Writes a result as JSON, if a path is given.

    Args:
        result: the result, which JSON can hold.
        path: the value of --json.
        indent: the number of spaces for each level; by default the file has one line.
    """
    if path:
        pathlib.Path(path).write_text(json.dumps(result, indent=indent) + "\n")


def measure_apart(command: Sequence[str], **options: Any) -> Any:
    """Runs a command in a fresh process, and reads the last line of its output as JSON.

    Args:
        command: the program and its arguments.
        **options: further options of `subprocess.run`.

    Returns:
        The value of that line.

    Raises:
        subprocess.CalledProcessError: if the command fails.
    """
    done = subprocess.run(command, **{"stdout": subprocess.PIPE, "text": True, "check": True, **options})
    return json.loads(done.stdout.strip().splitlines()[-1])
