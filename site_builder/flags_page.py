"""Writes the page of every flag, from the definitions that --help shows."""

import ast
import dataclasses
import re
from collections.abc import Callable

from absl import flags

from simsiam_tf.cli import flags as of_commands
from simsiam_tf.cli.console import define_verbosity_flag
from simsiam_tf.cli.doctor_flags import define_doctor_flags
from simsiam_tf.cli.transfer_flags import define_transfer_flags
from site_builder.places import ROOT

_INTRODUCTION = """# Every flag

The commands print the same with `--help`. Flags may also be in a file: `--flagfile=FILE`
([recipes](recipes/index.md) are such files). If a flag is given twice, its last value counts. `--verbosity` is a flag
of every command.

| command | what it does |
|---|---|
"""
_TYPES = {"string": "text", "bool": "true or false", "multi string": "text, may be given several times"}


@dataclasses.dataclass(frozen=True)
class _Command:
    """Names a command, the module that has its description, and what defines its flags.

    Attributes:
        name: the anchor of the command's part of the page.
        call: how the command is called.
        define: the function that defines the flags.
    """

    name: str
    call: str
    define: Callable[[], None]

    def description(self) -> list[str]:
        """Returns the docstring of the command's module, its first line first."""
        source = (ROOT / "simsiam_tf" / "cli" / f"{self.name}.py").read_text()
        return (ast.get_docstring(ast.parse(source)) or "").split("\n")


# train is the first: the others refer to its flags.
COMMANDS = (
    _Command("train", "python train.py", of_commands.define_training_flags),
    _Command("evaluate", "python evaluate.py", of_commands.define_evaluation_flags),
    _Command("transfer", "python transfer.py", define_transfer_flags),
    _Command("doctor", "python -m simsiam_tf.cli.doctor", define_doctor_flags),
    _Command("inspect", "python -m simsiam_tf.cli.inspect", of_commands.define_inspect_flags),
    _Command("preview", "python -m simsiam_tf.augment.preview", of_commands.define_preview_flags),
    _Command("prepare", "python -m simsiam_tf.cli.prepare", of_commands.define_prepare_flags),
    _Command("reproduce", "python -m simsiam_tf.reproduce", of_commands.define_reproduce_flags),
    _Command("convert", "python -m simsiam_tf.cli.convert", of_commands.define_conversion_flags),
    _Command("replay", "python -m simsiam_tf.cli.replay", of_commands.define_workdir_flag),
    _Command("show", "python -m simsiam_tf.cli.show", of_commands.define_workdir_flag),
)
_Groups = dict[str, list[flags.Flag]]


def flags_page() -> str:
    """Returns the page, as Markdown."""
    rows, parts = [], []
    of_train: _Groups = {}
    for command in COMMANDS:
        groups = groups_of(command.define)
        of_train = of_train or groups
        first_line = command.description()[0].split(": `")[0].rstrip(".")
        rows.append(f"| [`{command.call}`](#{command.name}) | {first_line} |\n")
        parts.append(_part(command, groups, {} if groups is of_train else of_train))
    ((heading, messages),) = groups_of(define_verbosity_flag).items()
    parts.append("## Every command { #every }\n\n" + _group("every", heading, messages))
    return _INTRODUCTION + "".join(rows) + "\n" + "\n".join(parts)


def groups_of(define: Callable[[], None]) -> _Groups:
    """Returns the flags that a function defines, by the heading that they have in --help.

    The flags of this process stay as they are.
    """
    of_the_process, flags.FLAGS = flags.FLAGS, flags.FlagValues()
    try:
        define()
        return {str(heading): list(group) for heading, group in flags.FLAGS.flags_by_module_dict().items()}
    finally:
        flags.FLAGS = of_the_process


def _part(command: _Command, groups: _Groups, of_train: _Groups) -> str:
    """Returns the part of a command. Groups that train has in the same form are named, and not repeated."""
    shown = {heading: group for heading, group in groups.items() if not _same(group, of_train.get(heading))}
    shared = [heading for heading in groups if heading not in shown]
    text = f"## {command.name} {{ #{command.name} }}\n\n`{command.call}`\n\n"
    text += _paragraphs(command.description()[1:]) + "\n\n"
    if shared and set(shared) == set(of_train):
        text += "It also takes the flags of [train.py](#train).\n\n"
    elif shared:
        links = ", ".join(f"[{heading}](#{_anchor('train', heading)})" for heading in shared)
        text += f"It also takes these flags of train.py: {links}.\n\n"
    return text + "".join(_group(command.name, heading, group) for heading, group in shown.items())


def _paragraphs(lines: list[str]) -> str:
    """Returns lines of a docstring as Markdown: lines that are commands as a block of code, the others as text."""
    commands = [re.sub(r" {2,}\((.+)\)$", r"  # \1", line) for line in lines if line.startswith("python ")]
    text = _escaped("\n".join(line for line in lines if not line.startswith("python "))).strip()
    block = "\n".join(["```", *commands, "```"]) if commands else ""
    return f"{block}\n\n{text}".strip()


def _same(group: list[flags.Flag], other: list[flags.Flag] | None) -> bool:
    facts = [[(flag.name, flag.help, flag.default) for flag in flags_of] for flags_of in (group, other or [])]
    return facts[0] == facts[1]


def _anchor(command: str, heading: str) -> str:
    return f"{command}-{re.sub(r'[^a-z0-9]+', '-', heading.lower()).strip('-')}"


def _group(command: str, heading: str, group: list[flags.Flag]) -> str:
    text = f"### {_escaped(heading)} {{ #{_anchor(command, heading)} }}\n\n"
    return text + "".join(_flag(command, flag) for flag in group)


def _flag(command: str, flag: flags.Flag) -> str:
    default = default_of(flag)
    values = values_of(flag) + (f" · default {default}" if default else "")
    # absl puts the choices in front of the text.
    text = re.sub(r"^<[^>]*>: ", "", " ".join((flag.help or "").split()))
    return (
        f"#### `--{flag.name}` {{ #{command}--{flag.name} .flag }}\n\n"
        f"{values}\n{{ .flag-values }}\n\n{_escaped(text)}\n\n"
    )


def values_of(flag: flags.Flag) -> str:
    """Returns the possible values of a flag, as Markdown."""
    if isinstance(flag, flags.EnumFlag):
        return " ".join(f"`{value}`" for value in flag.parser.enum_values)  # type: ignore[attr-defined]
    help_of_parser = str(flag.parser.syntactic_help)
    if "|" in help_of_parser:
        return " ".join(f"`{value}`" for value in help_of_parser.split("|"))
    return _escaped(help_of_parser or _TYPES.get(flag.flag_type(), flag.flag_type()))


def default_of(flag: flags.Flag) -> str:
    """Returns the default of a flag as it would be typed, as Markdown; an empty text if it has none."""
    if flag.default is None or flag.default in ("", [], ()):
        return ""
    return f"`{(flag.default_as_str or '').strip(chr(39))}`"


def _escaped(text: str) -> str:
    """Returns a text of --help as Markdown that shows it as it is, with its flags as code."""
    text = re.sub(r"([\\*_\[\]|#$])", r"\\\1", text).replace("<", "&lt;")
    code = re.compile(r"(?<![\w`/-])(--[\w\\]+(?:=[^\s,;:()]+[^\s,;:().])?|`[^`]+`)")
    return code.sub(lambda found: "`" + found[0].strip("`").replace("\\", "") + "`", text)
