"""Makes the tables and figures of docs/results/paper.md from the runs that are kept beside it.

python benchmarks/paper_page.py                 # writes the table and the figure of each command on the page anew
python benchmarks/paper_page.py --keep=W        # keeps the finished runs of W, a --workdir of reproduce, first

The words around the tables are written by hand. A section with a new command needs the command, in backquotes, and one
line `| row |` below it; the table takes the place of the lines that begin with `|`. Which rows have one seed is said at
the head of the page, and is written here as well.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import re
import shlex
import sys
import tempfile
import textwrap

import harness

ROOT = harness.HERE.parent
PAGE, KEPT = ROOT / "docs" / "results" / "paper.md", ROOT / "docs" / "results" / "paper"
COMMAND = re.compile(
    r"^`python -m simsiam_tf\.reproduce (--experiment=\S+ --size=cifar10_small[^`]*) --workdir=W`$", re.MULTILINE
)
# The path of a checkout, before a command or recipe in it.
_CHECKOUT = re.compile(r"^(--flagfile=)?/.*/(?=simsiam_tf/cli/|flags/recipes/)")
# The paragraph that names the rows with one seed.
_ONE_SEED = re.compile(r"^\*\*One seed\.\*\* (?:.+\n)+", re.MULTILINE)
# What a run writes, without its weights.
FILES = ("config.json", "metrics.jsonl", "summary.json")


def commands() -> list[list[str]]:
    """Returns the flags of each command of the page that has a table."""
    return [shlex.split(found) for found in COMMAND.findall(PAGE.read_text())]


def plan(command: list[str]):
    """Finds the kept runs of a command.

    Returns:
        The name of the experiment, the experiment with the rows of the command, the runs of each of these rows, and
        the runs of the rows that the command leaves out.
    """
    from simsiam_tf.cli.flags import training_config_of
    from simsiam_tf.reproduce import runs
    from simsiam_tf.reproduce.config import ReproduceConfig
    from simsiam_tf.reproduce.experiments import EXPERIMENTS

    given = dict(flag.removeprefix("--").split("=", 1) for flag in command)
    own = {field.name: given.pop(field.name) for field in dataclasses.fields(ReproduceConfig) if field.name in given}
    read = {"seeds": int, "reference_seeds": int, "rows": lambda names: tuple(names.split(","))}
    config = ReproduceConfig(**{name: read.get(name, str)(value) for name, value in own.items()})
    extra = [f"--{name}={value}" for name, value in given.items()]
    planner = runs.Planner(config.size, extra, runs.Folders(KEPT), training_config_of)
    whole = EXPERIMENTS[config.experiment]
    experiment, seeds = config.chosen(whole), functools.partial(config.seeds_of, whole)
    planned = planner.plan(experiment.rows, seeds)
    return config.experiment, experiment, planned, planner.left_out(whole, planned, seeds)


def missing(planned) -> list[str]:
    """Returns the names of the runs that are not kept."""
    return [run.workdir.root.name for of_row in planned.values() for run in of_row if not run.is_done]


def make(command: list[str], folder: pathlib.Path) -> tuple[list[str], str]:
    """Makes the page of a command in a folder.

    Returns:
        The lines of its table, and the line that says how it was measured.
    """
    from simsiam_tf.reproduce import page
    from simsiam_tf.reproduce.experiments import EXPERIMENTS

    name, _, planned, left_out = plan(command)
    if missing(planned):
        sys.exit(f"error: the page has a table of {name}, but these runs are not kept: {', '.join(missing(planned))}.")
    _, text = page.write(folder, name, EXPERIMENTS[name], planned, "none", command[1:], left_out=left_out)
    lines = text.splitlines()
    return [line for line in lines if line.startswith("|")], next(line for line in lines if line.startswith("Ours:"))


def one_seed() -> str:
    """Writes the paragraph that names the rows of which no command of the page has more than one run."""
    seeds: dict[str, dict[str, int]] = {}
    for command in commands():
        _, experiment, planned, _ = plan(command)
        of_title = seeds.setdefault(experiment.title.partition("(")[2].rstrip(")"), {})
        for row in experiment.rows:
            of_title[row.label] = max(of_title.get(row.label, 0), len(planned[row.recipe]))
    parts = []
    for title, of_title in seeds.items():
        single = [f'"{label}"' for label, number in of_title.items() if number == 1]
        if single:
            parts.append(f"{title}: {'all rows' if len(single) == len(of_title) else ', '.join(single)}")
    text = f"**One seed.** The noise of these rows was not measured, because each has one run. {'; '.join(parts)}."
    return "\n".join(textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False)) + "\n"


def write() -> None:
    """Writes the tables and figures of the page anew, and the names of the rows with one seed."""
    text = PAGE.read_text()
    for command in commands():
        line = f"`python -m simsiam_tf.reproduce {shlex.join(command)} --workdir=W`"
        before, found, after = text.partition(line)
        with tempfile.TemporaryDirectory() as folder:
            table, _ = make(command, pathlib.Path(folder))
            name = command[0].removeprefix("--experiment=")
            figure = re.search(r"!\[.*?\]\(paper/(\S+?)\.png\)", after.partition("\n## ")[0])
            if figure and figure[1].startswith(name):
                (KEPT / f"{figure[1]}.png").write_bytes((pathlib.Path(folder) / f"{name}.png").read_bytes())
        old = re.search(r"(^\|.*\n)+", after, re.MULTILINE)
        if old is None:
            sys.exit(f"error: the page has no table below {line}.")
        text = before + found + after[: old.start()] + "\n".join(table) + "\n" + after[old.end() :]
        PAGE.write_text(text)
        print(f"Wrote the table of {shlex.join(command)}.")
    PAGE.write_text(_ONE_SEED.sub(lambda _: one_seed(), PAGE.read_text(), count=1))


def without_places(text: str) -> str:
    """Removes the places of the data and of the checkout from the text of a config.json."""
    content = json.loads(text)
    if content["config"]["data"]["data_dir"]:
        content["config"]["data"]["data_dir"] = "DATA_DIR"
    command = [re.sub("^--data_dir=.*", "--data_dir=DATA_DIR", word) for word in content["command"]]
    content["command"] = [_CHECKOUT.sub(lambda found: found[1] or "", word) for word in command]
    return json.dumps(content, indent=2) + "\n"


def keep(folder: pathlib.Path) -> None:
    """Copies what the finished runs of a folder have written, without their weights and the places of this machine."""
    for config in sorted((folder.resolve() / "runs").glob("*/config.json")):
        run, kept = config.parent, KEPT / "runs" / config.parent.name
        summary = run / "summary.json"
        finished = summary.exists() and "wall_seconds" in json.loads(summary.read_text())
        finished |= (run / "diverged.json").exists()
        if kept.exists() or not finished:
            continue
        kept.mkdir(parents=True)
        for name in (*FILES, "diverged.json"):
            if (run / name).exists():
                (kept / name).write_text((run / name).read_text().replace(str(run), f"W/runs/{run.name}"))
        (kept / config.name).write_text(without_places((kept / config.name).read_text()))
        print(f"Kept {kept.name}.")


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--keep", type=pathlib.Path, help="the --workdir of reproduce whose finished runs are kept first"
    )
    options = parser.parse_args()
    if options.keep:
        keep(options.keep)
    write()


if __name__ == "__main__":
    main()
