"""Compares our input pipeline with torchvision's and DALI's on this machine, by the ratio of the medians.

They run in turn, each time in a fresh process.

python benchmarks/input_pipeline_ratio.py --torch_python=PATH/bin/python [--dali_python=PATH/bin/python] [--cores=1]
    [--rounds=3] [--json=FILE]
"""

import json
import os
import statistics
import subprocess
import sys

import harness


def measure(python: str, script: str, *flags: str) -> dict[str, float]:
    """Measures the rates of one run in a fresh process."""
    command = [python, str(harness.HERE / script), "--rounds=3", "--seconds=2", *flags]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    values = harness.measure_apart(command, env=environment, stderr=subprocess.PIPE)
    return {name: value for name, value in values.items() if name.endswith("_second") and "median" not in name}


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--torch_python", help="Python of an environment with torch and torchvision")
    parser.add_argument("--dali_python", help="Python of an environment with nvidia-dali-cuda120 and Pillow")
    parser.add_argument("--cores", type=int, default=1, help="cores that each may use; torchvision uses one")
    parser.add_argument("--rounds", type=int, default=3, help="alternations")
    options = parser.parse_args()
    cores, result = f"--cores={options.cores}", {}
    for kind in ("imagenet", "cifar"):
        commands = {"ours": [sys.executable, "input_pipeline.py", f"--kind={kind}", cores]}
        if options.torch_python:
            commands["torchvision"] = [options.torch_python, "input_pipeline_torchvision.py", f"--kind={kind}"]
        if options.dali_python and kind == "imagenet":
            commands["dali"] = [options.dali_python, "input_pipeline_dali.py", cores]
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
        for number in range(options.rounds):
            for name, command in commands.items():
                runs[name].append(measure(*command))
                print(f"{kind} {number} {name}: {json.dumps(runs[name][-1])}", file=sys.stderr, flush=True)
        for name, values in runs.items():
            result |= {f"{kind}_{name}_{rate}": statistics.median(v[rate] for v in values) for rate in values[0]}
        for rate in ("images_per_second", "images_per_cpu_second"):
            for other in commands.keys() - {"ours"}:
                # Torchvision and DALI leave none of their work to the device.
                theirs = result[f"{kind}_{other}_all_{rate}"]
                for way in ("host", "all"):
                    result[f"{kind}_{way}_to_{other}_by_{rate}"] = result[f"{kind}_ours_{way}_{rate}"] / theirs
    print(json.dumps(result))
    harness.write_result(result, options.json, indent=1)


if __name__ == "__main__":
    main()
