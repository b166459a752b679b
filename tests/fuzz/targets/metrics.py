"""The measurements of a run: metrics.jsonl and summary.json."""

import json
import math
import pathlib
import random
import sys

from tests.fuzz.mutations import HOSTILE, mutate_json
from tests.fuzz.target import ROOT, Target, WrongError

_SEED = ROOT / "tests" / "fixtures" / "run_dc5c22e" / "finished"


class Metrics(Target):
    """Reads and writes the measurements of a run, and shows them."""

    name = "metrics"

    def load(self, folder: pathlib.Path) -> None:
        import tensorflow  # noqa: F401 - which cli.show would load within a case

        from simsiam_tf.cli import show
        from simsiam_tf.evaluation.report.numbers import number_rows
        from simsiam_tf.evaluation.report.page import render
        from simsiam_tf.training.workdir import Workdir

        self._show, self._workdir, self._rows, self._render = show, Workdir, number_rows, render
        self._files = {name: (_SEED / name).read_bytes() for name in ("config.json", "metrics.jsonl", "summary.json")}
        self._lines = [json.loads(line) for line in self._files["metrics.jsonl"].splitlines()]
        self._summary = json.loads(self._files["summary.json"])

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        files = dict(self._files)
        name = chance.choice(["metrics.jsonl", "summary.json"])
        if name == "summary.json":
            value = dict(self._summary)
            if chance.random() < 0.3:
                value[chance.choice(HOSTILE)] = {"value": chance.choice(HOSTILE), "protocol": chance.choice(HOSTILE)}
            files[name], done = mutate_json(value, files[name], chance)
        else:
            changed, done = mutate_json(self._lines, files[name], chance)
            files[name] = self._in_lines(changed)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        return f"{name}: {done}"

    @staticmethod
    def _in_lines(content: bytes) -> bytes:
        """Returns the entries of a list of JSON as lines; other content as it is."""
        try:
            lines = json.loads(content)
            return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        except (ValueError, TypeError, RecursionError):
            return content

    def read(self, folder: pathlib.Path) -> str:
        workdir = self._workdir.open_existing(str(folder))
        lines, before = workdir.metrics(), workdir.metrics_path.read_bytes()
        for line in lines:
            if not all(type(v) in (int, float, bool) and math.isfinite(v) for v in line.values()):
                raise WrongError(f"a line {line}")
        records = workdir.summary()
        workdir.add_to_summary({"added": {"value": 1}})
        if workdir.summary() != {**records, "added": {"value": 1}}:
            raise WrongError("summary.json changed by writing it")
        rows = self._rows({"run": records})
        page = self._render("report.html.j2", **_page(rows)) if len(before) % 8 == 0 else ""  # a tenth of a second
        if "<script>alert" in page or "<img src=x>" in page:
            raise WrongError("a text of summary.json is markup in the report")
        workdir.keep_metrics_up_to(2**62)
        kept = workdir.metrics()
        if [
            line for line in lines if line.keys() >= {"epoch", "step", "wall_seconds"} and line["step"] <= 2**62
        ] != kept:
            raise WrongError(f"{len(kept)} of {len(lines)} lines kept")
        sys.argv = ["show", f"--workdir={folder}"]
        self._show.load_tensorflow_for = lambda workdir: None
        self._show.workdir_flag = lambda: str(folder)
        self._show.show()
        return "read" if before == workdir.metrics_path.read_bytes() else "read, some lines left out"


def _page(rows: list) -> dict:
    names = ("runs", "curves", "spectra")
    texts = dict.fromkeys(("title", "spectrum_of", "images_of", "note"), "x")
    return {**{name: [] for name in names}, **texts, "numbers": rows, "labelled": False, "pixelated": False}
