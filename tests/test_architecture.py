"""The order of the rooms, and the sizes that keep them readable."""

import ast
import logging
import subprocess
import sys

import pytest
from importlinter.cli import lint_imports

from tests.conftest import ROOT

PACKAGE = ROOT / "simsiam_tf"
SOURCES = [path for folder in ("simsiam_tf", "flags", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")]
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
