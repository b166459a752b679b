"""Compares our nearest-neighbour search with faiss-cpu's IndexFlatIP on the same cores. Both times include top-k.

python benchmarks/knn.py --faiss_python=PATH/bin/python [--rounds=3] [--json=FILE]

The two run in turn, each time in a fresh process. The result has the ratio of the medians (above 1, ours is faster),
the fraction of neighbours that both find, and our peak memory above that of the features. Only the other environment
needs faiss-cpu.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import harness
import numpy as np


def draw(rng, count, dim):
    """Draws random unit vectors, `[count, dim] float32`."""
    x = rng.standard_normal((count, dim), dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def on_disk(options, rng):
    """Writes the bank in files of 8192 rows, as a FeatureStore does, and maps them into memory."""
    folder = pathlib.Path(options.bank_folder)
    folder.mkdir()
    for number, first in enumerate(range(0, options.bank, 8192)):
        rows = min(8192, options.bank - first)
        np.save(folder / f"features-{number:05}.npy", draw(rng, rows, options.dim))
    return tuple(np.load(file, mmap_mode="r") for file in sorted(folder.iterdir()))


class PeakMemory(threading.Thread):
    """Watches the peak memory of this process, in GiB, without the pages of mapped files.

    Attributes:
        start_value: the memory when the object was made.
        peak: the greatest memory so far.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.start_value = self.peak = self._now()

    def run(self):
        """Updates the peak every 10 ms."""
        while True:
            self.peak = max(self.peak, self._now())
            time.sleep(0.01)

    def _now(self):
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0]) / 2**20


def search_ours(bank, queries, k):
    """Searches with our package: returns the seconds, the similarities and the rows found."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from simsiam_tf.features.embed import Features
    from simsiam_tf.features.nearest import nearest

    bank = Features(bank, np.arange(sum(map(len, bank))), None)
    nearest(bank, queries[:100], k)
    return _timed(lambda: nearest(bank, queries, k))


def search_faiss(bank, queries, k):
    """Searches with faiss: returns the seconds, the similarities and the rows found."""
    import faiss

    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    index = faiss.IndexFlatIP(queries.shape[1])
    index.add(bank[0])
    index.search(queries[:100], k)
    return _timed(lambda: index.search(queries, k))


def _timed(search):
    start = time.perf_counter()
    similarity, rows = search()
    return time.perf_counter() - start, similarity, rows


def run_one(options):
    """Times one engine in this process, and prints the result as JSON."""
    rng = np.random.default_rng(0)
    bank = on_disk(options, rng) if options.bank_folder else (draw(rng, options.bank, options.dim),)
    queries = draw(rng, options.queries, options.dim)
    memory = PeakMemory()
    memory.start()
    seconds, similarity, rows = {"ours": search_ours, "faiss": search_faiss}[options.engine](bank, queries, options.k)
    if options.rows:
        # Sorted, because the order of equally similar neighbours may differ.
        np.save(options.rows, np.sort(rows, axis=1))
    peak = memory.peak - memory.start_value
    print(json.dumps({"seconds": seconds, "gib_above_features": peak, "worst": float(similarity.min())}))


def alternate(options):
    """Times both engines in turn, and prints their ratio as JSON."""
    # Without these variables OpenBLAS chooses its kernel itself. They may name a slower one that old libraries need.
    environment = {n: v for n, v in os.environ.items() if n not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    environments = {"ours": environment | {"OPENBLAS_THREAD_TIMEOUT": "4"}, "faiss": environment}  # as in evaluate.py
    found = {"ours": [], "faiss": []}
    sizes = [f"--{name}={getattr(options, name)}" for name in ("bank", "queries", "dim", "k")]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for engine, python in (("ours", sys.executable), ("faiss", options.faiss_python)):
                command = [python, __file__, f"--engine={engine}", *sizes, f"--rows={folder}/{engine}.npy"]
                one = harness.measure_apart(command, env=environments[engine], stderr=subprocess.PIPE)
                found[engine].append(one)
                print(f"{engine}: {found[engine][-1]['seconds']:.2f} s", file=sys.stderr, flush=True)
        ours, theirs = (np.load(f"{folder}/{engine}.npy") for engine in found)
    shared = sum(len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(ours, theirs, strict=True))
    seconds = {engine: statistics.median(run["seconds"] for run in runs) for engine, runs in found.items()}
    result = {
        "seconds": seconds["ours"],
        "faiss_seconds": seconds["faiss"],
        "ratio": seconds["faiss"] / seconds["ours"],
        "gib_above_features": max(run["gib_above_features"] for run in found["ours"]),
        "same_neighbours": shared / ours.size,
        **{name: getattr(options, name) for name in ("bank", "queries", "dim", "k", "rounds")},
    }
    print(json.dumps(result))
    harness.write_result(result, options.json)


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--faiss_python", help="Python of an environment with faiss-cpu")
    parser.add_argument("--engine", choices=("ours", "faiss"), help="time one of them, in this process")
    parser.add_argument("--rows", help="with --engine: write the neighbours found to this .npy file")
    parser.add_argument("--bank_folder", help="with --engine=ours: keep the bank in files in this new folder")
    parser.add_argument("--bank", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--k", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.engine is None and options.faiss_python is None:
        parser.error("give --faiss_python, or --engine to time one alone")
    run_one(options) if options.engine else alternate(options)


if __name__ == "__main__":
    main()
