"""Compares our input pipeline with torchvision's on one core of this machine, by the ratio of the medians.

The two run in turn, each time in a fresh process.

python benchmarks/input_pipeline_ratio.py --torch_python=PATH/bin/python [--rounds=3] [--json=FILE]
"""

import json
import os
import statistics
import subprocess
import sys

import harness


def measure(python: str, script: str, kind: str) -> dict[str, float]:
    """Measures the rates of one run in a fresh process."""
    command = [python, str(harness.HERE / script), f"--kind={kind}", "--cores=1", "--rounds=3", "--seconds=3"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    values = harness.measure_apart(command, env=environment, stderr=subprocess.PIPE)
    return {name: value for name, value in values.items() if name.endswith("_per_second") and "median" not in name}


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--torch_python", required=True, help="Python of an environment with torch and torchvision")
    parser.add_argument("--rounds", type=int, default=3, help="alternations")
    options = parser.parse_args()
    result: dict[str, float] = {}
    for kind in ("imagenet", "cifar"):
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(measure(sys.executable, "input_pipeline.py", kind))
            theirs.append(measure(options.torch_python, "input_pipeline_torchvision.py", kind))
        for name in theirs[0]:
            mine, other = (statistics.median(run[name] for run in runs) for runs in (ours, theirs))
            result |= {f"{kind}_{name}": mine, f"{kind}_torchvision_{name}": other}
            result[f"{kind}_{name.split('_')[0]}_ratio"] = mine / other
        # The host's part alone, against all of torchvision's work: torchvision leaves none of it to the device.
        host = statistics.median(run["host_images_per_second"] for run in ours)
        result[f"{kind}_host_to_torchvision_all_ratio"] = host / result[f"{kind}_torchvision_all_images_per_second"]
    print(json.dumps(result))
    harness.write_result(result, options.json, indent=1)


if __name__ == "__main__":
    main()
