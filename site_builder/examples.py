"""Lets the examples of docstrings be shown as code."""

import re
import textwrap
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^(?P<indent> *)Example:\n(?P<body>(?:(?P=indent) +\S.*\n?|\n)+)", re.M)


class Examples(griffe.Extension):
    """Renames the section `Example` of each docstring to `Examples`, the only name that griffe knows."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Changes the docstring of one object."""
        if obj.docstring:
            obj.docstring.value = with_examples(obj.docstring.value)


def with_examples(docstring: str) -> str:
    """Returns a docstring whose example is one for griffe; lines of code without a prompt are marked as code."""
    return _EXAMPLE.sub(_section, docstring)


def _section(found: re.Match[str]) -> str:
    body = textwrap.dedent(found["body"]).rstrip()
    if ">>>" not in body:
        body = f"```python\n{body}\n```"
    end = found["body"][len(found["body"].rstrip()) :]
    return textwrap.indent(f"Examples:\n{textwrap.indent(body, '    ')}", found["indent"]) + end
