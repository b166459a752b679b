"""Runs a notebook from its first cell to its last, for `make notebook` and the tests.

Usage: python notebooks/execute.py notebooks/quickstart.ipynb
"""

import os
import pathlib
import sys
import tempfile

import nbformat
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).parents[1]
# What libraries in C++ write to the terminal, such as TensorFlow's notes on the processor, is no output of a cell.
_KERNEL_ARGUMENTS = ["--IPKernelApp.capture_fd_output=False"]


def execute(notebook: nbformat.NotebookNode, folder: pathlib.Path, timeout: int = 1800) -> None:
    """Runs a notebook with the package of this checkout, and puts the outputs into it.

    Args:
        notebook: the notebook, which is changed.
        folder: the folder that its cells run in.
        timeout: the number of seconds that a cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook, timeout=timeout, record_timing=False, resources=resources, extra_arguments=_KERNEL_ARGUMENTS
    )
    client.execute(env=environment)


def main() -> None:
    """Runs the notebook that the command line names, and writes it with its outputs in its place."""
    path = pathlib.Path(sys.argv[1])
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, pathlib.Path(folder))
    # A kernel notes the machine's Python, which is of no use to a reader.
    notebook.metadata["language_info"] = {"name": "python"}
    draft = path.with_suffix(".draft")
    nbformat.write(notebook, draft)
    draft.replace(path)


if __name__ == "__main__":
    main()
