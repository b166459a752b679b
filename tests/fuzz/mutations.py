"""Damages bytes and values of JSON. Each damage follows from its source of chance."""

import copy
import json
import random
from typing import Any

from damages import OTHERS, TEXTS, _places

from tests.fuzz import target  # noqa: F401 - makes the robustness checks importable

INTERESTING = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80")
INTERESTING += (b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\0" * 7 + b"\x80", (2**40).to_bytes(8, "little"))
# Texts that names could have: for terminals, for pages, for file systems and for other programs.
HOSTILE = ("\x1b[31mred", "a\nb", "a\rb", "\u202egnp.exe", "\u2028", "<script>alert(1)</script>", '"><img src=x>')
HOSTILE += ("../../../outside.txt", "/etc/passwd", "..", ".", "", "a\0b", "\ud800", "a" * 5000, "{{7*7}}", "$\\frac{$")
HOSTILE += ("%s%n", "CON", "a/../b", "\x07", "\u200b", "C:\\x", "~root", "-rf", "nan", "1e999")
NUMBERS = (0, -1, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**19, -(2**63), 10**30, 0.5, -0.0, 1e308, 1e-320)
OTHER_VALUES = (*OTHERS, *HOSTILE, *NUMBERS, True, False, [[]], {"": None}, [None] * 50, {"class_name": "Lambda"})


def mutate_bytes(content: bytes, chance: random.Random, others: tuple[bytes, ...] = ()) -> tuple[bytes, str]:
    """Damages bytes one to three times; returns them, and what was done."""
    data, done = bytearray(content), []
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        kind = chance.choice(["flip", "flip", "set", "cut", "take", "put", "repeat", "splice", "blank", "replace"])
        at, length = chance.randrange(len(data) + 1), min(chance.choice([1, 2, 4, 16, 200, 3000]), len(data))
        if kind == "flip":
            for _ in range(chance.choice([1, 1, 2, 8]) if data else 0):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == "set":
            value = chance.choice(INTERESTING)
            data[at : at + len(value)] = value
        elif kind == "cut":
            del data[at:]
        elif kind == "take":
            del data[at : at + length]
        elif kind == "put":
            data[at:at] = chance.randbytes(length)
        elif kind == "repeat":
            data[at:at] = bytes(data[at : at + length]) * chance.choice([1, 2, 50])
        elif kind == "splice":
            other = chance.choice(others) if others else content
            begin = chance.randrange(len(other) + 1)
            data[at : at + length] = other[begin : begin + length]
        elif kind == "blank":
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif chance.random() < 0.1:
            data = bytearray(chance.choice(TEXTS))
        done.append(f"{kind} at {at}")
    return bytes(data), ", ".join(done)


def mutate_value(value: Any, chance: random.Random) -> tuple[Any, str]:
    """Edits a value of JSON one to three times; returns a copy, and what was done."""
    holder, done = [copy.deepcopy(value)], []
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        places = list(_places(holder))
        inner, key = chance.choice(places)
        kind = chance.choice(
            ["delete", "replace", "replace", "replace", "swap", "near", "near", "nest", "repeat", "rename"]
        )
        if kind == "delete" and inner is not holder:
            del inner[key]
        elif kind == "swap":
            inner[key] = copy.deepcopy(_at(*chance.choice(places)))
        elif kind == "near":
            inner[key] = _near(inner[key], chance)
        elif kind == "nest":
            inner[key] = [inner[key]] if chance.random() < 0.5 else {"a": inner[key]}
        elif kind == "repeat" and isinstance(inner, list):
            inner.insert(chance.randrange(len(inner) + 1), copy.deepcopy(inner[key]))
        elif kind == "rename" and isinstance(inner, dict):
            inner[chance.choice(HOSTILE)] = inner.pop(key)
        else:
            inner[key] = copy.deepcopy(chance.choice(OTHER_VALUES))
        done.append(f"{kind} {str(key)[:40]!r}")
    return holder[0], ", ".join(done)


def _at(inner: Any, key: Any) -> Any:
    try:
        return inner[key]
    except (KeyError, IndexError):  # an earlier edit took it away
        return None


def _near(value: Any, chance: random.Random) -> Any:
    """Returns a value of the same type that is a little or a lot other."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice(
            [value + 1, value - 1, -value, value * 2, value * 1000, *(n for n in NUMBERS if type(n) is int)]
        )
    if isinstance(value, float):
        return chance.choice([value + 1, -value, value * 1e10, 0.0, float("nan"), float("inf"), 1e308, 1e-320])
    if isinstance(value, str):
        at = chance.randrange(len(value) + 1)
        return chance.choice(
            [*HOSTILE, value + "x", value[:at], value[:at] + chance.choice(HOSTILE) + value[at:], value.upper()]
        )
    if isinstance(value, list):
        return chance.choice([value[:-1], value + value, value[::-1], value * 100, []])
    return {} if isinstance(value, dict) else 0


def json_bytes(value: Any, chance: random.Random) -> bytes:
    """Writes a value as JSON; in some cases as only some programs do, or damaged a little."""
    text = json.dumps(value, ensure_ascii=chance.random() < 0.8, indent=chance.choice([None, None, 1]))
    content = text.encode("utf-8", "surrogatepass")
    kind = chance.random()
    if kind < 0.02:
        return b"\xef\xbb\xbf" + content
    if kind < 0.04:
        return text.encode("utf-16", "surrogatepass")
    if kind < 0.06:
        depth = chance.choice([50, 900, 1100, 100_000])
        return b"[" * depth + content + b"]" * depth
    if kind < 0.08:  # a key twice, and the last counts
        return b'{"a": 1, ' + content.lstrip()[1:] if content[:1] == b"{" else content
    if kind < 0.10:
        return content.replace(b"1", b"1" * 5000, 1)
    return content


def mutate_json(value: Any, content: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Damages a file of JSON: its values in most cases, and its bytes in others; in a few cases not at all."""
    kind = chance.random()
    if kind < 0.03:
        return content, "whole"
    if kind < 0.25:
        return mutate_bytes(content, chance)
    changed, done = mutate_value(value, chance)
    return json_bytes(changed, chance), done
