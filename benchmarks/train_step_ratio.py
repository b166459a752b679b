"""Compares our training step with PyTorch's on this machine, by the ratio of the medians.

They run in turn, each time in a fresh process: our step, optionally that of an older checkout, and PyTorch's in both of
its layouts of images. PyTorch's better layout counts.

python benchmarks/train_step_ratio.py --torch_python=PATH/bin/python [--dtype=bfloat16] [--width=0.25 --batch_size=128]
    [--before=CHECKOUT] [--rounds=3] [--json=FILE]
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys

import harness


def measure(python: str, script: pathlib.Path, *flags: str) -> float:
    """Measures the images per second of one run in a fresh process."""
    command = [python, str(script), *flags]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return harness.measure_apart(command, env=environment, stderr=subprocess.PIPE)["images_per_second"]


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--torch_python", required=True, help="Python of an environment with torch")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--width", type=float, default=1.0, help="multiplier of the number of channels")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--before", type=pathlib.Path, help="another checkout of this project, which is timed too")
    parser.add_argument("--rounds", type=int, default=3, help="alternations")
    options = parser.parse_args()
    flags = [f"--{name}={getattr(options, name)}" for name in ("dtype", "width", "batch_size")]
    runs = {"images_per_second": (sys.executable, harness.HERE / "train_step.py", *flags)}
    if options.before:
        runs["before"] = sys.executable, options.before / "benchmarks" / "train_step.py", *flags
    torch = options.torch_python, harness.HERE / "train_step_torch.py", *flags
    runs |= {"torch": torch, "torch_channels_last": (*torch, "--channels_last")}
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            speeds[name].append(measure(*run))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    result = {"dtype": options.dtype, "width": options.width, "batch_size": options.batch_size, **medians}
    result["ratio"] = medians["images_per_second"] / max(medians["torch"], medians["torch_channels_last"])
    if options.before:
        result["times_before"] = medians["images_per_second"] / medians["before"]
    result |= {"rounds": options.rounds, "all": speeds}
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
