"""Writes the pages of the API, which mkdocstrings fills with docstrings. The code is read, and not imported."""

import ast

import simsiam_tf
from site_builder.places import ROOT

# The public rooms, and what their pages are called.
ROOMS = {
    "losses": "Losses",
    "methods": "Methods",
    "networks": "Networks",
    "augment": "Augmentation",
    "optim": "Optimizers and schedules",
    "callbacks": "Callbacks",
    "features": "Features",
    "detection": "Detection",
}
_TOP = """# simsiam_tf

These names are imported from `simsiam_tf` itself, such as `from simsiam_tf import SimSiam`. `import simsiam_tf` alone
loads no TensorFlow. The public rooms are {rooms}; others may change without notice.

| name | from | what it is |
|---|---|---|
"""


def api_pages() -> dict[str, str]:
    """Returns the pages of the API as Markdown, by their names."""
    pages = {f"api/{room}.md": _room_page(room, title) for room, title in ROOMS.items()}
    return {"api/index.md": _top_page()} | pages


def public_names(room: str) -> list[str]:
    """Returns the names that a room lists in `__all__`; the names of its modules if it lists none."""
    folder = ROOT / "simsiam_tf" / room
    for node in ast.parse((folder / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return list(ast.literal_eval(node.value))
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _room_page(room: str, title: str) -> str:
    docstring = ast.get_docstring(ast.parse((ROOT / "simsiam_tf" / room / "__init__.py").read_text())) or ""
    parts = "".join(f"\n::: simsiam_tf.{room}.{name}\n" for name in sorted(public_names(room), key=str.lower))
    return f"# {title}\n\n`simsiam_tf.{room}`: {docstring.splitlines()[0]}\n{parts}"


def _top_page() -> str:
    rooms = ", ".join(f"[{room}]({room}.md)" for room in ROOMS)
    text = _TOP.format(rooms=rooms)
    for home, names in simsiam_tf._HOMES.items():
        for name in names:
            text += f"| {_link(home, name)} | `simsiam_tf.{home}` | {_first_line(home, name)} |\n"
    return text + "\n## Errors\n\n::: simsiam_tf.errors\n\n## Runs\n\n::: simsiam_tf.evaluation.loaded_run.load\n"


def _link(home: str, name: str) -> str:
    page = f"{home}.md" if home in ROOMS else ""
    return f"[`{name}`]({page}#simsiam_tf.{home}.{name})"


def _first_line(home: str, name: str) -> str:
    """Returns the first line of the docstring of a name, wherever its room takes it from."""
    for path in sorted((ROOT / "simsiam_tf" / home.split(".")[0]).rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                return (ast.get_docstring(node) or "").splitlines()[0]
    raise ValueError(f"simsiam_tf.{home} must define what simsiam_tf offers. Received: {name}.")
