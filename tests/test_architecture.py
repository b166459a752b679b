"""The order of the rooms, and the sizes that keep them readable."""

import ast
import logging
import re
import subprocess
import sys

import pytest
from importlinter.cli import lint_imports

from tests.conftest import ROOT

PACKAGE = ROOT / "simsiam_tf"
FOLDERS = ("simsiam_tf", "flags", "site_builder", "benchmarks", "notebooks", "release", "tests")
SOURCES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
SOURCES += [ROOT / "train.py", ROOT / "evaluate.py"]


def nodes(path, *kinds):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


def lines_of_body(function):
    """The lines of a function from behind its docstring to its end."""
    first, *rest = function.body
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return function.end_lineno - (rest[0] if is_docstring and rest else first).lineno + 1


def test_files_functions_and_calls_are_short():
    problems = []
    for path in SOURCES:
        name, length = path.relative_to(ROOT), len(path.read_text().splitlines())
        problems += [f"{name} has {length} lines"] if length > 300 else []
        for function in nodes(path, ast.FunctionDef, ast.AsyncFunctionDef):
            if lines_of_body(function) > 50:
                problems.append(f"{name}: {function.name} has {lines_of_body(function)} lines")
        for call in nodes(path, ast.Call):
            if sum(not isinstance(argument, ast.Starred) for argument in call.args) > 6:
                problems.append(f"{name}:{call.lineno}: more than 6 positional arguments")
    assert not problems, "\n".join(problems)


def test_rooms_import_only_rooms_below_them():
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    enabled = [logger for logger in loggers if not logger.disabled]
    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == 0
    for logger in enabled:  # import-linter disables all others in this process
        logger.disabled = False


def test_the_top_of_the_package_has_few_modules():
    assert len(list(PACKAGE.glob("*.py"))) <= 6


@pytest.mark.parametrize("module", ["simsiam_tf", "simsiam_tf.config.run", "simsiam_tf.config.evaluation"])
def test_settings_load_without_tensorflow(module):
    code = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_methods_are_short_final_classes():
    for path in (PACKAGE / "losses").glob("*.py"):
        if path.stem in ("__init__", "as_keras", "common"):
            continue
        method = PACKAGE / "methods" / path.name
        assert method.exists(), f"{path.stem} has no method of the same stem"
        assert len(method.read_text().splitlines()) <= 150, path.name


def test_the_training_step_is_as_short_as_algorithm_1():
    functions = nodes(PACKAGE / "methods" / "base.py", ast.FunctionDef)
    (step,) = (function for function in functions if function.name == "train_step")
    assert lines_of_body(step) <= 12


# Modules that open files which cannot be in a bucket, and why.
LOCAL_ALONE = {
    "host.py": "what Linux tells of the machine",
    "cli/command_line.py": "flagfiles, which absl opens",
    "cli/console.py": "the null device",
    "config/recipes.py": "the project's own flagfiles",
    "cli/quiet.py": "the files of devices, and the program itself",
    "data/walk.py": "folders of loose images",
    "data/folder.py": "folders of loose images",
    "data/folder_index.py": "folders of loose images",
    "data/lists.py": "images that a list names, in folders of loose images",
    "data/records.py": "maps local files into memory",
    "training/run_files.py": "what stands in the way of a file, which only a local folder can have",
    "training/checkpoint_files.py": "the free space and the fsync of a local disk",
    "evaluation/embeddings.py": "the draft of a folder, which is always local",
    "reproduce/runs.py": "the project's own flagfiles",
    "preparation/shard.py": "the draft of a shard, which is always local",
}
# Calls that know only this machine's file system.
LOCAL_CALLS = {
    *("open", "np.load", "os.open", "os.stat", "os.lstat", "os.listdir", "os.scandir", "os.walk", "os.remove"),
    *("os.rename", "os.replace", "os.makedirs", "os.path.exists", "os.path.lexists", "os.path.isfile"),
    *("os.path.isdir", "os.path.realpath", "os.path.abspath", "os.path.getsize", "shutil.rmtree", "shutil.copy"),
    *("shutil.copytree", "shutil.move", "shutil.disk_usage"),
}
# Methods of pathlib that an `etils.epath.Path` lacks, or has with fewer arguments; `open` is one for drafts alone.
LOCAL_METHODS = {"read_text", "write_text", "absolute", "expanduser", "samefile", "touch", "lstat", "rglob"}


def test_only_the_room_of_files_opens_what_users_name():
    problems = []
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith("files/") or name in LOCAL_ALONE:
            continue
        for call in nodes(path, ast.Call):
            called, argument = ast.unparse(call.func), ast.unparse(call.args[0]) if call.args else ""
            is_our_own = "__file__" in ast.unparse(call) or "_ROOT" in ast.unparse(call) or "files" in argument
            is_local = called in LOCAL_CALLS or ("." in called and called.rpartition(".")[2] in LOCAL_METHODS)
            is_path = called == "pathlib.Path" and re.search(r"expand|config|workdir|data_dir|\bout\b|path\b", argument)
            if (is_local or is_path) and not is_our_own:
                problems.append(f"{name}:{call.lineno}: {ast.unparse(call)}")
    assert not problems, "\n".join(problems)
