"""Prints the results of a run and the places of its files: `python -m simsiam_tf.cli.show --workdir=W`.

The run is one of train.py or of transfer.py.
"""

from simsiam_tf.cli.entry_point import run
from simsiam_tf.cli.flags import define_workdir_flag, workdir_flag
from simsiam_tf.cli.quiet import load_tensorflow_for
from simsiam_tf.files import printable
from simsiam_tf.training.transfer_workdir import is_transfer
from simsiam_tf.training.workdir import Workdir

_CONTENTS = {
    "summary.json": "every number, with what produced it",
    "metrics.jsonl": "one line for each epoch",
    "skipped.txt": "images that could not be read",
    "bad_step": "the step that ended the run because a number was not finite: its images, and the weights before it",
    "chosen.flags": "the settings that train.py chose; --flagfile takes it",
    "config.json": "every setting, versions, seed and commit",
    "tensorboard": "curves, and the settings under HPARAMS: tensorboard --logdir=...",
    "tracked.json": "the identifier of the run at Weights & Biases or MLflow",
    "wandb": "files of Weights & Biases",
    "checkpoints": "weights and optimiser",
    "report.html": "the curves, numbers and pictures on one page",
    "neighbours": "pictures of images and of those that are nearest to them",
    "embeddings": "features for other programs: --protocol=embed",
    "diagnostics.json": "the spectra and other measures of --protocol=diagnostics",
    "features": "features, embedded once for every protocol; may be deleted",
    "probes": "the state of linear probes, as --protocol=linear trained them",
    "classifiers": "linear classifiers, which exports give class scores by",
    "finetune": "fine-tuned weights, and which images were labelled",
    "did_it_help": "comparisons with the untrained network and with baselines",
    "detections.json": "what was found in each test image, in COCO's format for results",
    "export": "SavedModel (uint8 images to features), backbone.keras, and a folder for each other format",
}
# What differs in a run of transfer.py.
_OF_TRANSFER = {
    "metrics.jsonl": "one line for every few steps (--log_every_steps)",
    "checkpoints": "weights of the detector and its optimiser",
    "export": "the detector as a SavedModel or an ONNX file, with the names of its classes",
}


def main() -> None:
    """Runs the command."""
    run(define_workdir_flag, show, __doc__)


def show() -> None:
    """Prints the results and the files of the run that the flags name."""
    show_run(workdir_flag())


def show_run(path: str) -> None:
    """Prints the results of a run and the places of its files.

    Args:
        path: the folder of the run, as the user typed it.

    Raises:
        UsageError: if it is not the folder of a run, or its summary.json is damaged.
    """
    load_tensorflow_for(path)
    workdir = Workdir.open_existing(path)
    print("\nResults")
    for name, record in workdir.summary().items():
        value = record["value"]
        text = "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
        unit = " %" if value is not None and record.get("unit") == "percent" else ""
        print(f"  {printable(name):<20} {printable(text)}{unit}")
    print("Files")
    contents = {**_CONTENTS, **_OF_TRANSFER} if is_transfer(path) else _CONTENTS
    for name, meaning in contents.items():
        if (workdir.root / name).exists():
            print(f"  {printable(str(workdir.root / name))}: {meaning}")


if __name__ == "__main__":
    main()
