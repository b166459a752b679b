"""Gives damaged and hostile files to each reader of the package, and judges every answer.

python -m tests.fuzz.run --target=all --minutes=10 [--seed=0] [--folder=runs/fuzz] [--case=N] [--again]

An answer is good if it is the right result, or one sentence. Everything else is a fault: a traceback, a hang, a process
that dies or takes the memory, a file outside of the folder of the case, code that is run, raw characters on the
terminal, and a wrong result without a word. Every case follows from target, seed and number. A run that was stopped
goes on where it was. --again tries the faults again, and --case one case alone.
"""

import argparse
import json
import os
import pathlib
import sys
import time

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0"}

from tests.fuzz.tally import Tally
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import Worker


def main() -> int:
    """Runs the targets that are asked for; returns 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="all", help=f"all, or some of {', '.join(TARGETS)}, with commas between")
    parser.add_argument("--minutes", type=float, default=10, help="minutes for each target, with those of earlier runs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the cases")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/fuzz"), help="folder of the counts")
    parser.add_argument("--case", type=int, default=None, help="run this case alone, and show its answer")
    parser.add_argument("--again", action="store_true", help="run the cases that were faults again, and no others")
    options = parser.parse_args()
    names = list(TARGETS) if options.target == "all" else options.target.split(",")
    faults = 0
    for name in names:
        folder = options.folder.absolute() / name
        folder.mkdir(parents=True, exist_ok=True)
        target = prepared(TARGETS[name](), folder)
        if options.case is not None:
            worker = Worker(target, options.seed, folder)
            print(json.dumps(worker.run(options.case), indent=1))
            worker.end()
            continue
        tally = fuzz(target, folder, options.seed, options.minutes * 60, options.again)
        print(f"{name}:", *tally.lines(), sep="\n", flush=True)
        faults += tally.num_faults
    return int(faults > 0)


def prepared(target: Target, folder: pathlib.Path) -> Target:
    """Makes the seeds of a target, in a process of its own, and loads them."""
    seeds = folder / "seeds"
    if not seeds.exists():
        draft = folder / "seeds.draft"
        draft.mkdir(exist_ok=True)
        pid = os.fork()
        if not pid:
            code = 1
            try:
                target.make(draft)
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        if os.waitpid(pid, 0)[1]:
            sys.exit(f"The seeds of {target.name} cannot be made.")
        draft.rename(seeds)
    target.load(seeds)
    return target


def fuzz(target: Target, folder: pathlib.Path, seed: int, seconds: float, again: bool = False) -> Tally:
    """Runs the cases of a target until its time is up; returns the counts."""
    tally, worker = Tally(folder / f"counts-{seed}.json"), Worker(target, seed, folder)
    if again:
        for number in list(map(int, tally.faults)):
            tally.add(number, worker.run(number))
    last = saved = time.monotonic()
    while not again and tally.seconds < seconds:
        number = tally.next
        tally.add(number, worker.run(number))
        now = time.monotonic()
        tally.seconds, last = tally.seconds + now - last, now
        if now - saved > 5:
            tally.save()
            saved = now
    worker.end()
    tally.save()
    return tally


if __name__ == "__main__":
    sys.exit(main())
