"""Prints a table of the results that gpu_day.sh's speed test has written into a folder.

python benchmarks/speed_table.py FOLDER
"""

import json
import pathlib
import sys

# PyTorch's step, as it is and compiled; the faster one is what others are compared with.
_THEIRS = ("torch_eager", "torch")


def rows(folder: pathlib.Path) -> list[str]:
    """Returns the lines of the table: ours under each choice of XLA's, and PyTorch."""
    results = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    results = {name: result for name, result in results.items() if "step_seconds" in result}
    default = results.get("default", {})
    operations = default.get("share_of_matrix_rate") and default["share_of_matrix_rate"] * default["step_seconds"]
    theirs = max((results[name]["images_per_second"] for name in _THEIRS if name in results), default=None)
    lines = ["| run | ms a step | images/s | of PyTorch's | share of the matrix rate | peak GiB | compile s |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, result in results.items():
        seconds, peak = result["step_seconds"], result["peak_gib"]
        # All steps have the same products of matrices, and the rate is that of XLA's defaults for all. A rate that is
        # measured under other choices of XLA's is another number.
        share = operations / seconds / result.get("devices", 1) if operations else None
        ratio = f"{result['images_per_second'] / theirs:.2f}" if theirs else ""
        cells = [name, f"{1000 * seconds:.1f}", f"{result['images_per_second']:.0f}", ratio]
        cells += [
            f"{100 * share:.3g} %" if share else "",
            f"{peak:.1f}" if peak else "",
            f"{result['compile_seconds']:.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    print("\n".join(rows(pathlib.Path(sys.argv[1]))))
