"""The order of the rooms, and the sizes that keep them readable."""

import ast
import subprocess
import sys

import pytest
from importlinter.cli import lint_imports

from tests.conftest import ROOT

PACKAGE = ROOT / "simsiam_tf"
SOURCES = [*PACKAGE.rglob("*.py"), *(ROOT / "flags").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
SOURCES += [ROOT / "train.py", ROOT / "evaluate.py"]


def test_rooms_import_only_rooms_below_them():
    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_the_top_of_the_package_has_few_modules():
    assert len(list(PACKAGE.glob("*.py"))) <= 6


@pytest.mark.parametrize("module", ["simsiam_tf", "simsiam_tf.config.run", "simsiam_tf.config.evaluation"])
def test_settings_load_without_tensorflow(module):
    code = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_methods_are_short_final_classes():
    for path in (PACKAGE / "losses").glob("*.py"):
        if path.stem in ("__init__", "common"):
            continue
        method = PACKAGE / "methods" / path.name
        assert method.exists(), f"{path.stem} has no method of the same stem"
        assert len(method.read_text().splitlines()) <= 150, path.name


def test_the_training_step_fits_thirty_lines():
    tree = ast.parse((PACKAGE / "methods" / "base.py").read_text())
    (step,) = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "train_step")
    assert step.end_lineno - step.lineno < 30
