"""Shows the source of functions and classes on pages.

In the repository, the line

    <!-- code: simsiam_tf/losses/simsiam.py negative_cosine -->

is invisible. On the site it is the source of that function, without its docstring, so that it cannot become outdated.
A method is `Class.method`.
"""

import ast
import re

from site_builder.differences import outside_code
from site_builder.places import ROOT

_COMMENT = re.compile(r"^(?P<indent> *)<!-- code: (?P<path>\S+) (?P<name>[\w.]+) -->[ \t]*$")
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def with_sources(markdown: str) -> str:
    """Returns a page with the sources that its comments ask for. Comments within blocks of code stay.

    Raises:
        ValueError: if a comment asks for something that does not exist.
    """
    lines = []
    for _, line, is_text in outside_code(markdown):
        comment = _COMMENT.match(line) if is_text else None
        lines += _block(comment) if comment else [line]
        if is_text and not comment and line.lstrip().startswith("<!-- code"):
            raise ValueError(f"A comment for code must be `<!-- code: PATH NAME -->`. Received: {line.strip()}")
    return "\n".join(lines)


def _block(comment: re.Match[str]) -> list[str]:
    source, first, last = source_of(comment["path"], comment["name"])
    block = [f'```python title="{comment["path"]}, lines {first} to {last}"', *source, "```"]
    return [f"{comment['indent']}{line}".rstrip() for line in block]


def source_of(path: str, name: str) -> tuple[list[str], int, int]:
    """Returns the lines of a function, class or method, without its docstring, and the numbers of its first and last.

    Args:
        path: the file, relative to the top of the repository.
        name: the name of the function or class; of a method, `Class.method`.

    Raises:
        ValueError: if there is no such file or name.
    """
    if not (ROOT / path).is_file():
        raise ValueError(f"The file of a comment for code must exist. Received: {path}.")
    text = (ROOT / path).read_text()
    body: list[ast.stmt] = ast.parse(text).body
    found: _Definition | None = None
    for part in name.split("."):
        found = next((node for node in body if isinstance(node, _Definition) and node.name == part), None)
        if found is None:
            raise ValueError(f"{path} must define what a comment for code names. Received: {name}.")
        body = found.body
    assert found is not None
    first = min([found.lineno, *(decorator.lineno for decorator in found.decorator_list)])
    last = found.end_lineno or first
    lines = text.split("\n")
    left_out = _lines_of_docstring(found, lines)
    kept = [lines[number - 1] for number in range(first, last + 1) if number not in left_out]
    indent = len(kept[0]) - len(kept[0].lstrip())
    return [line[indent:] for line in kept], first, last


def _lines_of_docstring(definition: _Definition, lines: list[str]) -> range:
    """Returns the numbers of the lines of a docstring, with the blank line behind it."""
    first = definition.body[0]
    if ast.get_docstring(definition) is None or len(definition.body) == 1:
        return range(0)
    last = first.end_lineno or first.lineno
    return range(first.lineno, last + (1 if lines[last].strip() else 2))
