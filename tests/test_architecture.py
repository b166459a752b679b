"""The package's layers: no cycle, and flags only where they belong."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "simsiam_tf"


def module_name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: pathlib.Path) -> set[str]:
    """Modules that a file imports at run time, `TYPE_CHECKING` blocks left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def test_no_import_cycle():
    graph = {name: {m for m in imports(path) if m in MODULES and m != name} for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name, trail):
        assert name not in trail, " -> ".join([*trail, name])
        if name in done:
            return
        for other in graph[name]:
            # Importing from a package is importing the module that it takes the name from.
            if other != name.rpartition(".")[0]:
                visit(other, [*trail, name])
        done.add(name)

    for name in graph:
        visit(name, [])


def test_only_the_scripts_know_the_flags():
    for name, path in MODULES.items():
        forbidden = ("absl",) if name.startswith("simsiam_tf.cli") else ("absl", "flags")
        assert not any(m.startswith(forbidden) for m in imports(path)), f"{name} must not import flags"


def test_nothing_imports_the_cli():
    for name, path in MODULES.items():
        assert not any(m.startswith("simsiam_tf.cli") for m in imports(path)), name


def test_methods_are_short_final_classes():
    for path in (PACKAGE / "methods").glob("*.py"):
        if path.stem in ("__init__", "base"):
            continue
        assert len(path.read_text().splitlines()) <= 150, path.name
        assert (PACKAGE / "losses" / path.name).exists(), f"{path.stem} has no loss of the same stem"


def test_the_training_step_fits_thirty_lines():
    tree = ast.parse((PACKAGE / "methods" / "base.py").read_text())
    (step,) = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "train_step")
    assert step.end_lineno - step.lineno < 30
