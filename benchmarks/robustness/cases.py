"""Puts the inputs of docs/results/cases.md to train.py and evaluate.py, as a user would, and judges the answers.

Another checkout may be tried with --tree, so that the answers before and after a change can be compared.

python benchmarks/robustness/cases.py --folder=FOLDER [--tree=CHECKOUT] [--only=WORDS] --json=FILE
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import harness
from case_table import ALL, SHAPES, SMALL, Case

Judge = Callable[[str], bool]


def answer(case: Case, tree: pathlib.Path, finished: pathlib.Path, limit: float) -> dict[str, object]:
    """Runs one case in a folder beside the finished run, which is emptied before, and judges the answer."""
    folder = finished.with_name("case")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run = folder / case.run_name
    if case.make:
        case.make(folder)
    if case.damage:
        shutil.copytree(finished, run)
        case.damage(run)
    flags = [flag.replace("{d}", str(folder)).replace("{run}", str(run)) for flag in case.flags.split()]
    if case.program == "train.py":
        flags = [*SMALL, *flags, f"--workdir={run}"]
    elif case.program == "evaluate.py":
        flags = [*flags, f"--workdir={run}"]
    is_script = case.program.endswith(".py")
    program = [str(tree / case.program)] if is_script else ["-c", case.program, *(SMALL if flags else ())]
    environment = {name: value.replace("{d}", str(folder)) for name, value in case.environment.items()}
    begin, command = time.monotonic(), [sys.executable, *program, *flags]
    if case.change:
        call(command, tree, environment, lambda _: bool(case.first_file) and any(folder.glob(case.first_file)), limit)
        case.change(folder)
    code, output, memory = call(command, tree, environment, case.is_over, limit)
    output = "\n".join(line for line in output.splitlines() if not re.match(r"[IWEF]\d{4} |WARNING: All log", line))
    right = code == case.code and bool(re.search(case.words, output, re.M)) and "Traceback" not in output
    if case.never and (folder / case.never).exists():
        right, output = False, f"{output}\n{case.never}"
    if memory > case.memory:
        right, output = False, f"{output}\nheld {memory:.0f} MiB"
    last = output.strip().splitlines()[-1][-200:] if output.strip() else ""
    seconds = round(time.monotonic() - begin, 1)
    return {
        "section": case.section,
        "case": case.name,
        "right": right,
        "code": code,
        "seconds": seconds,
        "last": last,
        "output": output[-3000:],
    }


def call(
    command: list[str],
    tree: pathlib.Path,
    environment: dict[str, str],
    is_over: Judge = lambda _: False,
    limit: float = 600,
) -> tuple[int | str, str, float]:
    """Runs a command, and kills it with its children if it takes too long, or once `is_over` says so of its output.

    Returns:
        The exit code, or 'none' if it took too long; the output; and how many MiB of memory the process held at most.
    """
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(tree), **environment}
    with tempfile.TemporaryFile() as file:
        process = subprocess.Popen(
            command, cwd=tree, env=variables, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        end, code, memory = time.monotonic() + limit, None, 0.0
        while code is None:
            time.sleep(0.1)
            memory = max(memory, most_memory(process.pid))
            code, output = process.poll(), os.pread(file.fileno(), 1 << 24, 0).decode(errors="backslashreplace")
            if code is None and (is_over(output) or time.monotonic() > end):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = 0 if is_over(output) else "none"
    return code, output, memory


def most_memory(process_id: int) -> float:
    """Returns how many MiB of memory a process has held at most; 0 if it has ended."""
    try:
        status = pathlib.Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0.0
    held = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(held[1]) / 1024 if held else 0.0


def main() -> None:
    """Runs the cases that --json does not hold yet."""
    parser = harness.make_parser(__doc__, "write the answers to this file, and go on with those that it lacks")
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="a folder for the inputs")
    parser.add_argument("--tree", default=harness.HERE.parent, type=pathlib.Path, help="the checkout to try")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--limit", type=float, default=60, help="the seconds after which a command hangs")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no case after this time")
    options = parser.parse_args()
    done = json.loads(pathlib.Path(options.json).read_text()) if os.path.exists(options.json or "") else []
    folder, begin = options.folder.resolve(), time.monotonic()
    finished = folder / "finished"
    if not (finished / "summary.json").exists():
        shutil.rmtree(finished, ignore_errors=True)
        flags = [*SMALL, *SHAPES.split(), f"--workdir={finished}"]
        for command in (["train.py", *flags], ["evaluate.py", "--protocol=knn", f"--workdir={finished}"]):
            code, output, _ = call([sys.executable, *command], options.tree.resolve(), {})
            assert code == 0, output
    for case in ALL:
        if options.only not in case.name or case.name in [record["case"] for record in done]:
            continue
        if time.monotonic() - begin > options.seconds:
            break
        done.append(answer(case, options.tree.resolve(), finished, options.limit))
        print(json.dumps(done[-1], ensure_ascii=False), flush=True)
        harness.write_result(done, options.json, indent=1)
    print(f"{sum(record['right'] for record in done)} of {len(done)} are right.")


if __name__ == "__main__":
    main()
