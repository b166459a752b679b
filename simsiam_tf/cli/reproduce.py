"""Repeats experiments of the paper: `python -m simsiam_tf.reproduce --experiment=fig2 --workdir=W`.

It starts the runs that are missing, continues those that were interrupted, and skips those that are finished with the
same settings. Then it writes our numbers beside the paper's to W/<experiment>.md, .json and .png. A page of other runs
stands beside the earlier one, as W/<experiment>_2.md. Other flags of train.py are passed on to every run.
"""

import functools
import logging

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_reproduce_flags, reproduce_config, training_config_of
from simsiam_tf.cli.quiet import load_tensorflow_for
from simsiam_tf.cli.transfer_flags import transfer_config_of
from simsiam_tf.config.messages import RESULT
from simsiam_tf.errors import UsageError
from simsiam_tf.files import user_path, write_text
from simsiam_tf.reproduce import execution, page, probes, runs, table5
from simsiam_tf.reproduce.config import TABLE5
from simsiam_tf.reproduce.experiments import EXPERIMENTS, Experiment
from simsiam_tf.reproduce.given_flags import shown_flags
from simsiam_tf.training.workdir import Workdir

_log = logging.getLogger("simsiam_tf.cli.reproduce")  # __name__ is "__main__" where the command is run


def main() -> None:
    """Runs the command."""
    run(define_reproduce_flags, reproduce, __doc__)


def reproduce() -> None:
    """Runs the experiments one after the other, and writes the page of each."""
    config, workdir, seed, extra = reproduce_config()
    if not workdir:
        raise UsageError("--workdir must name a folder for the runs and tables. Received: none.")
    root = user_path(workdir)
    load_tensorflow_for(workdir)
    if not config.dry_run:
        Workdir(root).check_writable()
    size = config.size if config.experiment != TABLE5 or config.size == "made" else "imagenet"
    planner = runs.Planner(size, extra, runs.Folders(root), training_config_of)
    if config.experiment == TABLE5:
        place = table5.run_table5(config, planner, root, seed, transfer_config_of)
        if place:
            _log.log(RESULT, f"Wrote {place}.md, .json and .png")
        return
    flags = [flag for flag in shown_flags(config, seed, extra) if not flag.startswith("--experiment=")]

    def planned(experiment: Experiment) -> dict[str, list[runs.Run]]:
        return planner.plan(experiment.rows, lambda row: config.seeds_of(experiment, row, seed))

    # All runs are planned before the first one starts, so that a mistake in the flags shows at once.
    experiments = {name: config.chosen(EXPERIMENTS[name]) for name in config.experiments}
    plans = {name: planned(experiment) for name, experiment in experiments.items()}
    if config.dry_run:
        every = [run for plan in plans.values() for of_row in plan.values() for run in of_row]
        execution.show(every)
        lacking = sum(probes.lacks_probe(run, config.probe) for run in execution.distinct(every))
        more = f" {lacking} of them will have a linear probe trained." if lacking else ""
        _log.log(RESULT, f"{execution.what_is_left(every)}{more} Nothing was trained or written.")
        return
    pages = []
    for name, plan in plans.items():
        _log.info(f"{experiments[name].title}:")
        of_all = [run for of_row in plan.values() for run in of_row]
        execution.carry_out(of_all, lambda run: probes.train_probe(run, config.probe))
        whole = EXPERIMENTS[name]
        left_out = planner.left_out(whole, plan, functools.partial(config.seeds_of, whole, first=seed))
        place, text = page.write(root, name, whole, plan, config.probe, flags, left_out=left_out)
        pages.append(text)
        _log.log(RESULT, f"Wrote {place}.md, .json and .png")
    if len(plans) > 1:
        write_text(root / "all.md", "\n".join(pages))
        _log.log(RESULT, f"Wrote {root / 'all.md'}: every table.")


if __name__ == "__main__":
    main()
