"""Makes flag lines of train.py: hostile, plausible and odd values, in all forms that a command line can have."""

import pathlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

WHOLE = ["0", "1", "2", "3", "5", "7", "16", "17", "63", "64", "100", "1000", "2147483647", "2147483648", "4294967296"]
WHOLE += ["9223372036854775807", "9223372036854775808", "-1", "-2", "+3", " 4 ", "007", "1" + "0" * 40, "1" * 5000]
NUMBERS = [
    "0",
    "-0.0",
    "1e-320",
    "1e-300",
    "1e-30",
    "1e-8",
    "0.001",
    "0.1",
    "0.5",
    "0.9",
    "0.999",
    "1",
    "1.5",
    "2.",
    ".5",
]
NUMBERS += [
    "10",
    "1e6",
    "1e30",
    "3e38",
    "3.5e38",
    "1e308",
    "1e309",
    "-1",
    "-1e-300",
    "inf",
    "-inf",
    "nan",
    "NaN",
    "+1e+2",
]
NUMBERS += ["0." + "1" * 400, "1e-99999999999", "1E2", "infinity", "1" + "0" * 400]
TEXTS = [
    "",
    " ",
    "x",
    "a" * 300,
    "a" * 70_000,
    "データ",
    "e\u0301",
    "\u202e",
    "caf\udce9",
    "\x1b[31m",
    "%s%n",
    "{0}",
    "'",
    '"',
    "\\",
]
TEXTS += [
    "..",
    "/",
    "~",
    "~nobody",
    "--",
    "-",
    "=",
    ",",
    ",,",
    "a,b",
    "a,,b",
    "None",
    "auto",
    "none",
    "\n",
    "\t",
    "\r\n",
    "\ufeff1",
]
TEXTS += [
    "٣",
    "\uff11\uff10",
    "½",
    "²",
    "\u22121",
    "1_0",
    "0x10",
    "1e",
    "1 0",
    "1\n",
    "\t1",
    "1,2",
    "1,2,3",
    "nan,1",
    "1,inf",
    "0.1;0.2",
    "true",
]
TEXTS += [
    "false",
    "True",
    "yes",
    "0,0,0",
    "1,0",
    "-1,1",
    "0,1",
    "#ff0000",
    "#FFF",
    "white",
    "train[:50%]",
    "train[:0]",
    "$HOME",
    "`id`",
]
FORMS = ["--{}={}"] * 5 + [
    "-{}={}",
    "--no{}={}",
    "--no{}",
    "--{}",
    "{}={}",
    "--{} {}",
    "---{}={}",
    "--{}=={}",
    "--{}={} ",
]


def values(setting: Any, chance: random.Random) -> str:
    """Draws a value for a setting: one that fits its type in most cases, any other text in the rest."""
    kind = str(setting.type)
    fitting = [*setting.choices, *([str(setting.default)] if setting.default not in (None, "", ()) else [])]
    if "int" in kind:
        fitting += WHOLE
    if "float" in kind:
        fitting += NUMBERS
        if "tuple" in kind:
            fitting += [f"{a},{b}" for a, b in zip(NUMBERS, NUMBERS[3:], strict=False)]
    if "bool" in kind:
        fitting += ["true", "false", "1", "0"]
    return chance.choice(fitting or TEXTS) if chance.random() < 0.6 else chance.choice([*TEXTS, *NUMBERS, *WHOLE])


def hostile_lines(settings: Sequence[Any], count: int, seed: int, folder: pathlib.Path) -> Iterator[list[str]]:
    """Makes flag lines for the parser.

    Args:
        settings: all settings of train.py.
        count: the number of lines.
        seed: the seed.
        folder: a folder for flagfiles.
    """
    chance = random.Random(seed)
    for number in range(count):
        line = ["--workdir=w"] if chance.random() < 0.95 else []
        for setting in chance.sample(list(settings), chance.choice([1, 1, 1, 2, 3, 8])):
            name = setting.name if chance.random() < 0.97 else chance.choice([setting.name[:-1], setting.name.upper()])
            form = chance.choice(FORMS) if chance.random() < 0.4 else "--{}={}"
            text = form.format(name, values(setting, chance))
            line += text.split(" ", 1) if form == "--{} {}" else [text]
            if chance.random() < 0.1:  # the last of several counts
                line.append(f"--{setting.name}={values(setting, chance)}")
        if chance.random() < 0.15:
            line = _in_flagfile(line, chance, folder / f"{number}.flags")
        if chance.random() < 0.02:
            chance.shuffle(line)
        yield line


def _in_flagfile(line: list[str], chance: random.Random, file: pathlib.Path) -> list[str]:
    """Moves the flags into a flagfile, among lines that flagfiles have, and some that they should not have."""
    between = chance.choice(["\n", "\r\n", "\n# a comment\n", "\n\n", "\n// a comment\n", "\n  ", "\n\t"])
    content = between.join(line).encode("utf-8", "surrogateescape")
    content = chance.choice([b"", b"", b"", b"\xef\xbb\xbf", b"\x00", b"\xff", b"\n\n"]) + content
    file.write_bytes(content)
    return [f"--flagfile={file}", *chance.choice([[], ["--workdir=w"], [f"--flagfile={file}"], ["--flagfile"]])]
