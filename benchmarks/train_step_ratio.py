"""Compares our training step with PyTorch's on this machine, by the ratio of the medians.

The two run in turn, each time in a fresh process.

python benchmarks/train_step_ratio.py --torch_python=PATH/bin/python [--dtype=bfloat16] [--rounds=3] [--json=FILE]
"""

import json
import os
import statistics
import subprocess
import sys

import harness


def measure(python: str, script: str, dtype: str, *flags: str) -> float:
    """Measures the images per second of one run in a fresh process."""
    command = [python, str(harness.HERE / script), f"--dtype={dtype}", *flags]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return harness.measure_apart(command, env=environment, stderr=subprocess.PIPE)["images_per_second"]


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--torch_python", required=True, help="Python of an environment with torch")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rounds", type=int, default=3, help="alternations")
    options = parser.parse_args()
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(measure(sys.executable, "train_step.py", options.dtype))
        theirs.append(measure(options.torch_python, "train_step_torch.py", options.dtype))
    result = {
        "dtype": options.dtype,
        "images_per_second": statistics.median(ours),
        "torch_images_per_second": statistics.median(theirs),
        "ratio": statistics.median(ours) / statistics.median(theirs),
        "rounds": options.rounds,
    }
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
