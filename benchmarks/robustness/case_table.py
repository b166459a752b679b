"""Lists the cases of cases.py: an input, the right exit code, and words that the right answer contains."""

import dataclasses
import os
import re
from typing import Any

import case_inputs as inputs
import case_programs as programs
import case_tfds as tfds_inputs
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
        run_name: the name of the folder of the run.
        change: changes the files after the command was given once; the command is then given again and judged.
        first_file: a pattern of a file in the folder of the case; the first of these two commands is ended once it is
            there, and runs to its end without a pattern.
        memory: how many MiB the process may hold at most.
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
    change: Maker | None = None
    first_file: str = ""
    memory: float = float("inf")

    def is_over(self, output: str) -> bool:
        """Returns whether the output contains what is waited for."""
        return bool(self.until) and re.search(self.until, output) is not None


DATA = "--dataset=folder --data_dir={d}/data"
TRAIN = f"{DATA} --epochs=1"


def start(section: int, name: str, words: str, make: Maker, flags: str = "", **options: Any) -> Case:
    """Makes the case of a folder of images whose run is ended once it has started."""
    options = {"code": 0, "until": STARTED, **options}
    return Case(section, name, f"{TRAIN} {flags}", words=words, make=make, **options)


SPLITS = [f"{s}/{c}/{i}.png" for s, n in (("train", 2), ("valid", 2), ("test", 1)) for c in "ab" for i in range(n)]
CHANGES = (
    ("images are added", inputs.with_more),
    ("images are taken away", inputs.with_fewer),
    ("other images under the same names", inputs.with_others),
)
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
    start(1, "several pages", "several pages", inputs.with_pages),
    start(1, "a link to /dev/zero named `x.png`", TWO, inputs.with_endless_file, until="Done.*", memory=3000),
    *(Case(1, f"stopped; {what}", f"{DATA} --epochs=40", 2, "^error: .*--data_changed", inputs.many(8), change=change,
           first_file="run/checkpoints/*.index") for what, change in CHANGES),
]  # fmt: skip
PIXELS = [
    Case(2, "TIFF of float from 0 to 1", TRAIN, 2, "--value_range", inputs.tiff("float32", 0, 1)),
    Case(2, "TIFF of float from -1 to 1", TRAIN, 2, "--value_range", inputs.tiff("float32", -1, 1)),
    Case(2, "TIFF of float from 0 to 1000", TRAIN, 2, "--value_range", inputs.tiff("float32", 0, 1000)),
    Case(2, "12 bits in TIFF of 16", TRAIN, 2, "--value_range", inputs.tiff("uint16", 0, 4095)),
    Case(2, "TIFF of int32 from -1000 to 1000", TRAIN, 2, "--value_range", inputs.tiff("int32", -1000, 1000)),
    start(2, "PNG icons, drawn in alpha alone", "single colour.*--alpha", inputs.icons),
    Case(2, "photographs that EXIF turns", f"{TRAIN} --knn_every_epochs=1", 0, r"kNN .*100\.0", inputs.turned),
    Case(2, "PNG of 13000 x 13000 pixels", f"{TRAIN} --max_bad_fraction=0.5", 0, "Done", inputs.vast, memory=3600),
    Case(2, "an EPS named `x.jpg`", f"{TRAIN} --max_bad_fraction=0.5", 0, "Done", inputs.with_postscript,
         never="ghostscript-was-started", environment={"PATH": "{d}/bin:" + os.environ["PATH"]}),
]  # fmt: skip
ODD = "--dataset=odd --data_dir={d}/data --epochs=1"
KNN = "--knn_every_epochs=1"
TFDS = [
    Case(3, "label is a list of classes", f"{ODD} {KNN}", 0, "(?s)kNN.*Done", tfds_inputs.several_labels),
    Case(3, "image is a pair, left and right", f"{ODD} --image_feature=image/left {KNN}", 0, r"kNN [0-9.]+ %",
         tfds_inputs.pair_of_images),
    Case(3, "such a pair, without the flag", ODD, 2, "^error: .*--image_feature", tfds_inputs.pair_of_images),
    Case(3, "the image is called `img`", f"{ODD} {KNN}", 0, r"kNN [0-9.]+ %", tfds_inputs.image_of_other_name),
    Case(3, "the label lies in a group", f"{ODD} --label_feature=style/name {KNN}", 0, r"kNN [0-9.]+ %",
         tfds_inputs.label_in_group),
    Case(3, "label is a number without names", f"{ODD} {KNN}", 0, r"kNN [0-9.]+ %", tfds_inputs.numbers_as_labels),
    Case(3, "`--train_split=train[:0]`", f"{ODD} --train_split=train[:0]", 2, "^error: .", tfds_inputs.ordinary),
    Case(3, "`--train_split=train[5:5]`", f"{ODD} --train_split=train[5:5]", 2, "^error: .", tfds_inputs.ordinary),
    Case(2, "TFDS, float from 0 to 1", ODD, 2, "^error: .*--value_range", tfds_inputs.float_images),
    Case(2, "TFDS, 12 bits in uint16", ODD, 2, "^error: .*--value_range", tfds_inputs.deep_images),
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
         "--base_learning_rate=1e6", 3, "^error: The loss or the gradient of step"),
    Case(4, "`--base_learning_rate=1e6`, batches of 2", f"{SHAPES} --epochs=6 --base_learning_rate=1e6", 0,
         "warning: .*not learning"),
    Case(4, "`--precision=float16` on a CPU", f"{SHAPES} --precision=float16", 0, "warning: .*float16", until=STARTED),
    Case(4, "`--label_seed=99999999999`", "--protocol=finetune --label_seed=99999999999", 2, "^error: .*label_seed",
         damage=inputs.nothing, program="evaluate.py"),
]  # fmt: skip
JUDGE = {"program": "evaluate.py"}
PROBE = "--probe=cached --probe_epochs=2"
TUNE = "--protocol=finetune --finetune_epochs=1 --label_fraction=0.1"
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
    Case(5, "manifest.json of features", "--protocol=knn", 0, "knn_top1", damage=inputs.nothing,
         change=inputs.damaged_files("manifest.json"), **JUDGE),
    Case(5, "the file of a probe", f"--protocol=linear {PROBE}", 0, "linear_cached_top1", damage=inputs.nothing,
         change=inputs.damaged_files("linear_cached*.npz"), **JUDGE),
    Case(5, "seconds.json of a fine-tuning", TUNE, 0, "finetune.*top1", damage=inputs.nothing,
         change=inputs.damaged_files("seconds.json"), **JUDGE),
    *(Case(5, f"`{name}` is a file", SHAPES, 2, "^error: .*must be a folder", damage=inputs.file_for(name))
      for name in ("checkpoints", "tensorboard")),
    Case(5, "`skipped.txt` is a folder", f"{TRAIN} --max_bad_fraction=0.5", 2, "^error: .*must be a file",
         inputs.with_skipped_folder),
    Case(5, "NUL in a name", "--dataset=folder --epochs=1 --flagfile={d}/flags.txt", 2, "^error: .",
         inputs.flagfile_with_nul),
    Case(5, "a disk that is full at the start", f"{SHAPES} --workdir={{run}}", 0, "(?s)^error: .*room.*Done",
         program=programs.FULL_DISK, environment={"SIZE": "8k"}),
    Case(5, "a disk that is full at a later checkpoint", f"--save_every_steps=8 {SHAPES} --workdir={{run}}", 0,
         "(?s)^error: .*room.*left: [1-9].*Done", program=programs.FULL_DISK, environment={"SIZE": "9m"}),
    Case(5, "`--out` in a place that cannot be written", "--protocol=report --out={d}/data/report.html", 2,
         "^error: .*--out", inputs.binary, damage=inputs.nothing, **JUDGE),
]  # fmt: skip
KERAS = [
    Case(6, "gradient of a shortcut of 4 channels, oneDNN", "", 0, "equal", program=programs.NARROW_SHORTCUT,
         environment={"TF_ENABLE_ONEDNN_OPTS": "1"}),
    Case(6, "Keras' batch norm on two replicas", "", 0, "equal", program=programs.TWO_REPLICAS),
    Case(6, "cp1252, a folder named データ", "--dataset=folder --data_dir={d}/データ --epochs=1", 0, r"\\u30c7",
         inputs.of(["1.png", "2.png"], "データ"), environment={"PYTHONIOENCODING": "cp1252"}),
    Case(6, "folders that cannot be opened", f"{SHAPES} --workdir={{run}}", 0, "Done", program=programs.CLOSED_FOLDERS),
    Case(6, "load_model of an exported backbone", "", 0, "loaded", program=programs.LOADS),
]  # fmt: skip
ALL = (*FOLDERS, *PIXELS, *TFDS, *FLAGS, *FILES, *KERAS)
