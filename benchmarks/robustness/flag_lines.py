"""Puts thousands of flag lines through the parser of train.py, and looks at every answer.

python benchmarks/robustness/flag_lines.py --folder=runs/robustness [--lines=12000]

A line must give settings, or one sentence. Settings must have the values that were written, and no number among them
may be infinite or NaN. Both are checked here by other code than the parser's.
"""

import decimal
import math
import pathlib
import sys
import time
from typing import Any

from answers import Record, is_sentence, make_parser
from lines import hostile_lines

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from absl import flags

from simsiam_tf.cli import flags as definitions
from simsiam_tf.cli.entry_point import one_line
from simsiam_tf.config.run import Config
from simsiam_tf.errors import UsageError

# --epochs_scale and its like change other settings, so that these are not as they were written.
_SCALES = ("epochs_scale", "batch_scale", "head_scale", "queue_scale", "learning_rate_scale", "weight_decay_scale")


def answer(line: list[str]) -> tuple[str, str]:
    """Returns the class of the parser's answer to a line, and its words."""
    start = time.monotonic()
    try:
        config = definitions.training_config_of(line)
    except UsageError as error:
        said = one_line(str(error))  # as the command prints it
        kind = "refused (exit 2)" if is_sentence(said) else "no sentence"
    except Exception as error:
        kind, said = "traceback", repr(error)
    else:
        wrong = unlike(line, config)
        kind, said = ("silent fault", wrong) if wrong else ("settings", "")
    return ("hang" if time.monotonic() - start > 10 else kind), said[:500]


def unlike(line: list[str], config: Config) -> str:
    """Returns how the settings differ from what a line says; an empty string if they do not."""
    values: dict[str, Any] = {}
    for group in config.groups.values():
        values |= group.values()
    for name, value in values.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                return f"{name} is {number}"
    if any("flagfile" in part or any(scale in part for scale in _SCALES) for part in line):
        return ""
    written = {}
    for part in line:
        name, equals, text = part.partition("=")
        name = name.removeprefix("-").removeprefix("-") if name.startswith("-") else ""
        if equals and name in values:
            written[name] = text
        elif not equals:  # values that stand apart, and negations, are not followed here
            return ""
    for name, text in written.items():
        if not same(values[name], text):
            return f"--{name}={text[:100]!r} became {values[name]!r}"
    return ""


def same(value: Any, text: str) -> bool:
    """Returns whether a value is what a text says, by the rules of decimal numbers and of lists with commas."""
    if isinstance(value, bool):
        return text.lower() in (("true", "t", "1", "yes") if value else ("false", "f", "0", "no"))
    if isinstance(value, int | float):
        try:
            wanted = decimal.Decimal(text.strip())
        except decimal.InvalidOperation:
            return False
        return value == (int(wanted) if isinstance(value, int) else float(wanted))
    if isinstance(value, tuple):
        parts = [part for part in text.split(",") if part.strip()]
        return len(parts) == len(value) and all(same(v, p.strip()) for v, p in zip(value, parts, strict=True))
    return value is None or value == text


def main() -> int:
    """Parses the lines, and prints the counts."""
    parser = make_parser(__doc__, resumes=False)
    parser.add_argument("--lines", type=int, default=12_000, help="number of flag lines")
    options = parser.parse_args()
    files = options.folder / "flagfiles"
    files.mkdir(parents=True, exist_ok=True)
    (options.folder / "flag_lines.jsonl").unlink(missing_ok=True)
    record = Record(options.folder / "flag_lines.jsonl")
    flags._helpers.get_flag_suggestions = lambda name, names: []  # slow, and no part of this check
    settings = definitions._training_settings()
    for number, line in enumerate(hostile_lines(settings, options.lines, 0, files)):
        kind, said = answer(line)
        record.add(
            str(number), kind, said, line=[part[:200].encode("utf-8", "backslashreplace").decode() for part in line]
        )
    return int(record.show() > 0)


if __name__ == "__main__":
    sys.exit(main())
