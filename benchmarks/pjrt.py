"""Compiles and runs StableHLO programs by JAX's runtime, for a device of this machine or for a TPU that is not there.

Only this module uses private names of JAX; requirements-tpu-check.txt pins the version that has them.
"""

import hashlib
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np


def use_tpu_compiler() -> None:
    """Makes libtpu compile without a TPU. It must be called before JAX is imported."""
    os.environ.update(
        JAX_PLATFORMS="cpu",
        TPU_SKIP_MDS_QUERY="1",
        TPU_ACCELERATOR_TYPE="v5litepod-4",
        TPU_WORKER_HOSTNAMES="localhost",
        TPU_WORKER_ID="0",
    )


def tpu_topology(name: str) -> Sequence[Any]:
    """Returns the cores of a TPU, which need not be there.

    Args:
        name: the kind and shape of the TPU, such as `v5e:2x2`.
    """
    from jax.experimental import topologies

    return topologies.get_topology_desc(platform="tpu", topology_name=name).devices


def compile_program(text: str, devices: Sequence[Any], kept: pathlib.Path | None = None) -> tuple[Any, float]:
    """Compiles a program for as many replicas as there are devices.

    Args:
        text: the program, in StableHLO.
        devices: the devices, which may be those of `tpu_topology`.
        kept: a file that keeps the executable for the next process, which then need not compile it.

    Returns:
        The executable, and the seconds that compiling took.
    """
    import jax
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jax._src.lib.mlir import ir

    jax.config.update("jax_enable_x64", True)  # step counters are int64
    options = xla_client.CompileOptions()
    build = options.executable_build_options
    options.num_replicas = build.num_replicas = len(devices)
    options.num_partitions = build.num_partitions = 1
    assignment = np.arange(len(devices)).reshape(-1, 1)
    build.device_assignment = xla_client.DeviceAssignment.create(assignment)
    client, listed = devices[0].client, xla_client.DeviceList(tuple(devices))
    key = repr((text, jax.__version__, client.platform_version, len(devices), os.environ.get("XLA_FLAGS")))
    digest = hashlib.sha256(key.encode()).hexdigest().encode()
    start = time.perf_counter()
    executable = _read_executable(kept, digest, lambda data: client.deserialize_executable(data, listed, options))
    if executable is None:
        with mlir.make_ir_context():
            module = ir.Module.parse(text)
            there = client.platform != "tpu" or any(d in jax.devices() for d in devices)
            compiler = client.compile_and_load if there else client.compile
            executable = compiler(module, listed, options)
        if kept is not None:
            _keep_executable(kept, digest, lambda: client.serialize_executable(executable))
    return executable, time.perf_counter() - start


def _read_executable(kept, digest, load):
    """Returns the executable that a file keeps, or `None` if it keeps none, or one of another program or machine."""
    if kept is None or not kept.exists():
        return None
    found, _, data = kept.read_bytes().partition(b"\n")
    try:
        return load(data) if found == digest else None
    except Exception as error:  # compiling again takes a minute, and is right in any case
        print(f"The executable in {kept} cannot be used ({error}); compiling again.", flush=True)
        return None


def _keep_executable(kept, digest, write):
    """Writes the executable into a file, if this version of JAX can."""
    try:
        draft = kept.with_suffix(".draft")
        draft.write_bytes(digest + b"\n" + write())
        draft.replace(kept)
    except Exception as error:
        print(f"The executable cannot be kept ({error}); the next process compiles again.", flush=True)


class Step:
    """Runs a compiled step on one device or several, and keeps its state on each of them.

    Args:
        executable: an executable from `compile_program`.
        devices: the devices that it was compiled for.
        state: the initial value of each variable, in the order of the program (`Program.state`).
        updated: the variable that each result after the step's own results replaces (`Program.updated`).
        results: the number of the step's own results.
    """

    def __init__(
        self, executable, devices: Sequence[Any], state: Sequence[np.ndarray], updated: Sequence[int], results: int
    ):
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        mesh = Mesh(np.array(devices), ("replica",))
        # For one device without the general way, which would cost the host milliseconds a step.
        self._on_each = NamedSharding(mesh, PartitionSpec()) if len(devices) > 1 else devices[0]
        self._split = NamedSharding(mesh, PartitionSpec("replica")) if len(devices) > 1 else devices[0]
        self._executable, self._updated, self._results = executable, updated, results
        self.state = [self.put(value) for value in state]

    def put(self, value: np.ndarray):
        """Copies an array to each device."""
        import jax

        return jax.device_put(np.asarray(value), self._on_each)

    def split(self, value: np.ndarray):
        """Copies an array to the devices, a part of its first axis to each."""
        import jax

        return jax.device_put(np.asarray(value), self._split)

    def __call__(self, *inputs) -> list[Any]:
        """Takes one step; returns the step's own results, which stay on the first device."""
        done = self._executable.execute_sharded([*inputs, *self.state])
        arrays = done.disassemble_into_single_device_arrays()
        for i, shards in zip(self._updated, arrays[self._results :], strict=True):
            self.state[i] = self._joined(shards)
        return [shards[0] for shards in arrays[: self._results]]

    def _joined(self, shards):
        """Makes one array of its copies on all devices."""
        import jax

        if len(shards) == 1:
            return shards[0]
        return jax.make_array_from_single_device_arrays(shards[0].shape, self._on_each, shards)


def on_first(array):
    """Returns the copy of an array of `Step` that the first device holds."""
    return array.addressable_shards[0].data


class Clock:
    """Times steps while the device computes them and the host already sends the next ones.

    The first two steps are not counted.

    Args:
        batch_size: the number of images in a step.
    """

    WARM_UP = 2

    def __init__(self, batch_size: int):
        self._batch_size, self._steps, self._counted, self._seconds = batch_size, 0, 0, 0.0
        self._begun = self._start = time.perf_counter()

    def after_step(self, loss, last: bool) -> None:
        """Counts a step, and waits for the device every few steps.

        Args:
            loss: a result of the step, still on the device.
            last: whether to wait in any case, because something other than a step follows.
        """
        self._steps += 1
        if self._steps <= self.WARM_UP:
            loss.block_until_ready()
            self._start = time.perf_counter()
            return
        self._counted += 1
        if last or self._counted % 8 == 0:  # a few steps may queue up, but not hundreds
            loss.block_until_ready()
            now = time.perf_counter()
            self._seconds += now - self._start
            self._start = now

    def resume(self) -> None:
        """Starts the clock again after something other than a step."""
        self._start = time.perf_counter()

    @property
    def wall_seconds(self) -> float:
        """Returns the seconds since the clock was made."""
        return time.perf_counter() - self._begun

    @property
    def step_seconds(self) -> float | None:
        """Returns the mean seconds of the counted steps; `None` if there are none."""
        return self._seconds / self._counted if self._counted else None

    @property
    def images_per_second(self) -> float | None:
        """Returns the images per second in the counted steps; `None` if there are none."""
        return self._batch_size / self.step_seconds if self._counted else None


def matrix_rate(dtype: str, device) -> float:
    """Measures the fastest product of two large square matrices on the device, in operations per second."""
    import jax
    import jax.numpy as jnp

    size = 1024 if device.platform == "cpu" else 8192
    key = jax.random.key(0)
    a, b = (jax.device_put(jax.random.normal(k, (size, size)).astype(dtype), device) for k in jax.random.split(key))
    product = jax.jit(jnp.matmul)
    product(a, b).block_until_ready()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(8):
            c = product(a, b)
        c.block_until_ready()
        best = min(best, (time.perf_counter() - start) / 8)
    return 2.0 * size**3 / best
