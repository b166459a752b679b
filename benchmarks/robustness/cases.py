"""Puts the inputs of docs/results/cases.md to train.py and evaluate.py, as a user would, and judges the answers.

Another checkout may be tried with --tree, so that the answers before and after a change can be compared.

python benchmarks/robustness/cases.py --folder=FOLDER [--tree=CHECKOUT] [--only=WORDS] --json=FILE
"""

import dataclasses
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
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import case_inputs as inputs
import harness
from case_inputs import Maker

# A small run.
SMALL = [
    *("--arch=resnet18", "--width=0.25", "--image_size=32", "--projector_dim=64", "--global_batch_size=2"),
    *("--max_examples=64", "--knn_every_epochs=0"),
]
STARTED = "Starting: .*"
TWO = r"\b2 images of folder"


@dataclasses.dataclass(frozen=True)
class Case:
    """One input, and the right answer.

    Attributes:
        section: the section of the table.
        name: the input in words.
        flags: the flags, in which `{d}` is the folder of the case and `{run}` the folder of the run.
        code: the right exit code.
        words: a pattern that the output must contain.
        make: makes the files in the folder of the case.
        damage: changes a copy of a finished run, which the command is then given; None for a new run.
        program: the script, or Python's arguments.
        environment: further variables of the environment.
        until: a pattern; once the output contains it the process is ended, and its exit code counts as 0.
        never: a file in the folder of the case that must not appear.
    """

    section: int
    name: str
    flags: str
    code: int
    words: str
    make: Maker | None = None
    damage: Maker | None = None
    program: str = "train.py"
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    until: str = ""
    never: str = ""
    run_name: str = "run"


DATA = "--dataset=folder --data_dir={d}/data"
TRAIN = f"{DATA} --epochs=1"


def start(section: int, name: str, words: str, make: Maker, flags: str = "", **options: Any) -> Case:
    """Makes the case of a folder of images whose run is ended once it has started."""
    options = {"code": 0, "until": STARTED, **options}
    return Case(section, name, f"{TRAIN} {flags}", words=words, make=make, **options)


SPLITS = [f"{s}/{c}/{i}.png" for s, n in (("train", 2), ("valid", 2), ("test", 1)) for c in "ab" for i in range(n)]
FOLDERS = [
    start(1, "a copy in `.ipynb_checkpoints`", TWO, inputs.of(["a/1.png", "b/1.png", ".ipynb_checkpoints/1.png"])),
    start(1, "`training/{a,b,c}`, `test/{b,c}`", r"kNN .*100\.0", inputs.classes_that_lack_one,
          "--train_split=training --knn_every_epochs=1", until="epoch 0: .*kNN.*"),
    start(1, "`{aa,zz}`, `test/{aa,zz}`", TWO, inputs.of(["aa/1.png", "zz/1.png", "test/aa/2.png", "test/zz/2.png"])),
    start(1, "`Train/{a,b}`, `Val/{a,b}`", r"2 classes \(a, b\)",
          inputs.of(["Train/a/1.png", "Train/b/1.png", "Val/a/2.png", "Val/b/2.png"])),
    start(1, "`{train,valid,test}`", "; 4 to evaluate on", inputs.of(SPLITS)),
    start(1, "classes `plane`, `train`, `car`", "--layout", inputs.of(["plane/1.png", "train/1.png", "car/1.png"]),
          code=2),
    start(1, "`unlabeled`, `train/{a,b}`", TWO, inputs.of(["unlabeled/cam1/1.png", "unlabeled/cam2/1.png",
          "train/a/1.png", "train/b/1.png"]), "--train_split=unlabeled"),
    start(1, "`train/{a,b}`, `train/thumb.png`", r"thumb\.png",
          inputs.of(["train/a/1.png", "train/b/1.png", "train/thumb.png"])),
    start(1, "a link to the folder above", TWO, inputs.with_loop(1)),
    start(1, "two such links", TWO, inputs.with_loop(2)),
    start(1, "a pipe named `x.png`", TWO, inputs.with_pipe, until="Done.*"),
    start(1, "other endings", r"\b7 images of folder", inputs.of_many_formats),
    Case(1, "one image of 50 is cut short", f"{TRAIN} --global_batch_size=25", 0, "(?s)cannot be read.*Done",
         inputs.with_cut_image),
    Case(1, "bad files with newlines and ESC in their names", f"{TRAIN} --max_bad_fraction=0.6", 0,
         r"\A[^\x1b]*Done[^\x1b]*\Z", inputs.with_raw_names),
    start(1, "no split to judge by", "; 2 to evaluate on", inputs.of(f"{c}/{i}.png" for c in "ab" for i in range(10)),
          "--holdout=0.1"),
    start(1, "four bands", "--channels", inputs.with_bands),
]  # fmt: skip
PIXELS = [
    Case(2, "TIFF of float from 0 to 1", TRAIN, 2, "--value_range", inputs.tiff("float32", 0, 1)),
    Case(2, "TIFF of float from -1 to 1", TRAIN, 2, "--value_range", inputs.tiff("float32", -1, 1)),
    Case(2, "TIFF of float from 0 to 1000", TRAIN, 2, "--value_range", inputs.tiff("float32", 0, 1000)),
    Case(2, "12 bits in TIFF of 16", TRAIN, 2, "--value_range", inputs.tiff("uint16", 0, 4095)),
    Case(2, "TIFF of int32 from -1000 to 1000", TRAIN, 2, "--value_range", inputs.tiff("int32", -1000, 1000)),
    start(2, "PNG icons, drawn in alpha alone", "single colour.*--alpha", inputs.icons),
    Case(2, "an EPS named `x.jpg`", f"{TRAIN} --max_bad_fraction=0.5", 0, "Done", inputs.with_postscript,
         never="ghostscript-was-started", environment={"PATH": "{d}/bin:" + os.environ["PATH"]}),
]  # fmt: skip
SHAPES = "--dataset=shapes --epochs=1"
LIMITS = [
    *("--epochs_scale=1e308", "--batch_scale=inf", "--width=inf", "--projector_dim=2147483648"),
    *("--projector_layers=100000000000000000000", "--image_size=2147483648", "--crop_max_aspect=inf"),
    *("--method=mocov2 --queue_size=1000000000000", "--blur_max_sigma=inf", "--cpu_devices=100000000000000000000"),
    *("--tpu=nan", "--flagfile={d}/data", "--noresume=1", "--projector_layers=3000", "--image_size=20000"),
    *("--base_learning_rate=inf", "--brightness=inf"),
]
FLAGS = [
    *(Case(4, f"`{flag}`", f"{SHAPES} {flag}", 2, "^error: .", inputs.binary) for flag in LIMITS),
    Case(4, "`--base_learning_rate=1e6`", f"{SHAPES} --global_batch_size=16 --max_examples=640 --predictor_dim=16 "
         "--base_learning_rate=1e6", 3, "^error: The loss became"),
    Case(4, "`--base_learning_rate=1e6`, batches of 2", f"{SHAPES} --epochs=6 --base_learning_rate=1e6", 0,
         "warning: .*does not learn"),
    Case(4, "`--precision=float16` on a CPU", f"{SHAPES} --precision=float16", 0, "warning: .*float16", until=STARTED),
    Case(4, "`--label_seed=99999999999`", "--protocol=finetune --label_seed=99999999999", 2, "^error: .*label_seed",
         damage=inputs.nothing, program="evaluate.py"),
]  # fmt: skip
JUDGE = {"program": "evaluate.py"}
FILES = [
    *(Case(5, f"summary.json {name}", "--protocol=knn", 2, "^error: .*summary.json", damage=damage, **JUDGE)
      for name, damage in inputs.damages("summary.json", ("empty", "[]", "not UTF-8", "a folder"))),
    Case(5, "config.json not UTF-8", "--protocol=knn", 2, "^error: .*config.json",
         damage=dict(inputs.damages("config.json", ("not UTF-8",)))["not UTF-8"], **JUDGE),
    *(Case(5, f"a line of metrics.jsonl {name}", SHAPES, 0, "set aside|damaged|finished", damage=damage)
      for name, damage in inputs.damages("metrics.jsonl", ("[]", "not UTF-8"))),
    Case(5, "metrics.jsonl a folder", SHAPES, 2, "^error: .*must be a file", damage=inputs.folder_for("metrics.jsonl")),
    Case(5, "a stray step-1-copy.index", "--protocol=knn", 0, "knn_top1", damage=inputs.stray_checkpoint, **JUDGE),
    Case(5, "features that are no array", "--protocol=knn", 0, "knn_top1",
         damage=inputs.broken_features, **JUDGE),
    Case(5, "`.lock` is a folder", "--protocol=knn", 0, "knn_top1", damage=inputs.folder_for(".lock"), **JUDGE),
    Case(5, "metrics.jsonl and summary.json deleted", SHAPES, 0, "Done", damage=inputs.without_records),
    Case(5, "`--workdir='lr[0.1]'`, evaluated", "--protocol=knn", 0, "knn_top1", damage=inputs.nothing,
         run_name="lr[0.1]", **JUDGE),
    Case(5, "a name of 5,000 characters", SHAPES, 2, "^error: .", run_name="x" * 5000),
    Case(5, "a name that is not UTF-8", SHAPES, 0, "Done", run_name="run\udcff"),
    Case(5, "`--out` in a place that cannot be written", "--protocol=report --out={d}/data/report.html", 2,
         "^error: .*--out", inputs.binary, damage=inputs.nothing, **JUDGE),
]  # fmt: skip
KERAS = [
    Case(6, "gradient of a shortcut of 4 channels, oneDNN", "", 0, "equal", program=inputs.NARROW_SHORTCUT,
         environment={"TF_ENABLE_ONEDNN_OPTS": "1"}),
    Case(6, "Keras' batch norm on two replicas", "", 0, "equal", program=inputs.TWO_REPLICAS),
    Case(6, "cp1252, a folder named データ", "--dataset=folder --data_dir={d}/データ --epochs=1", 0, r"\\u30c7",
         inputs.of(["1.png", "2.png"], "データ"), environment={"PYTHONIOENCODING": "cp1252"}),
    Case(6, "folders that cannot be opened", f"{SHAPES} --workdir={{run}}", 0, "Done", program=inputs.CLOSED_FOLDERS),
    Case(6, "load_model of an exported backbone", "", 0, "loaded", program=inputs.LOADS),
]  # fmt: skip


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
    begin = time.monotonic()
    code, output = call([sys.executable, *program, *flags], tree, environment, case.until, limit)
    output = "\n".join(line for line in output.splitlines() if not re.match(r"[IWEF]\d{4} |WARNING: All log", line))
    right = code == case.code and bool(re.search(case.words, output, re.M)) and "Traceback" not in output
    if case.never and (folder / case.never).exists():
        right, output = False, f"{output}\n{case.never}"
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
    command: list[str], tree: pathlib.Path, environment: dict[str, str], until: str = "", limit: float = 600
) -> tuple[int | str, str]:
    """Runs a command, and kills it with its children if it takes too long, or once its output contains `until`."""
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(tree), **environment}
    with tempfile.TemporaryFile() as file:
        process = subprocess.Popen(
            command, cwd=tree, env=variables, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        end, code = time.monotonic() + limit, None
        while code is None:
            time.sleep(0.1)
            code, output = process.poll(), os.pread(file.fileno(), 1 << 24, 0).decode(errors="backslashreplace")
            if code is None and ((until and re.search(until, output)) or time.monotonic() > end):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = 0 if until and re.search(until, output) else "none"
    return code, output


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
            code, output = call([sys.executable, *command], options.tree.resolve(), {})
            assert code == 0, output
    for case in (*FOLDERS, *PIXELS, *FLAGS, *FILES, *KERAS):
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
