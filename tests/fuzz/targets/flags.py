"""Command lines and flagfiles."""

import pathlib
import random

from lines import hostile_lines

from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.target import Target


class Flags(Target):
    """Parses command lines of train.py."""

    name = "flags"
    seconds = 15.0

    def load(self, folder: pathlib.Path) -> None:
        import flag_lines
        from absl import flags

        from simsiam_tf.cli.flags import _training_settings, define_run_flags

        define_run_flags()
        flags._helpers.get_flag_suggestions = lambda name, names: []  # slow, and no part of this check
        self._answer, self._settings = flag_lines.answer, _training_settings()
        self._line: list[str] = []

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        (self._line,) = hostile_lines(self._settings, 1, f"{chance.random()}", folder)
        kind = chance.random()
        if kind < 0.3:
            self._line = [*self._line, f"--flagfile={_tree(folder, chance)}"]
        return " ".join(part[:80] for part in self._line)

    def read(self, folder: pathlib.Path) -> tuple[str, str]:
        return self._answer(self._line)


def _tree(folder: pathlib.Path, chance: random.Random) -> pathlib.Path:
    """Writes flagfiles that include one another: once, several times, or in a loop; returns the first."""
    count, times = chance.choice([1, 2, 5, 30]), chance.choice([0, 1, 1, 2, 3])
    for number in range(count):
        to = number + 1 if chance.random() < 0.9 else chance.randrange(count + 1)
        form = chance.choice(["--flagfile={}", "-flagfile={}", "--flagfile {}", "  --flagfile={}"])
        lines = ["--epochs=3", *[form.format(folder / f"t{to}.flags")] * times, "# the end"]
        content = "\n".join(lines).encode()
        if chance.random() < 0.1:
            content = mutate_bytes(content, chance)[0]
        (folder / f"t{number}.flags").write_bytes(content)
    if chance.random() < 0.8:
        (folder / f"t{count}.flags").write_text("--seed=3\n")
    return folder / "t0.flags"
