"""StableHLO programs through JAX's runtime: compiled for the device at hand, or for a TPU that is not.

JAX's private names are used here and nowhere else; requirements-tpu-check.txt pins the version that has them.
"""

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np


def use_tpu_compiler() -> None:
    """Has libtpu compile without a TPU. Call it before JAX is imported."""
    os.environ.update(
        JAX_PLATFORMS="cpu",
        TPU_SKIP_MDS_QUERY="1",
        TPU_ACCELERATOR_TYPE="v5litepod-4",
        TPU_WORKER_HOSTNAMES="localhost",
        TPU_WORKER_ID="0",
    )


def tpu_topology(name: str) -> Sequence[Any]:
    """The cores of a TPU that need not be there, as `v5e:2x2`."""
    from jax.experimental import topologies

    return topologies.get_topology_desc(platform="tpu", topology_name=name).devices


def compile_program(text: str, devices: Sequence[Any]) -> tuple[Any, float]:
    """Compiles a program for as many replicas as there are devices; the executable and the seconds it took."""
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
    client = devices[0].client
    start = time.perf_counter()
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        there = client.platform != "tpu" or any(d in jax.devices() for d in devices)
        compiler = client.compile_and_load if there else client.compile
        executable = compiler(module, xla_client.DeviceList(tuple(devices)), options)
    return executable, time.perf_counter() - start


class Step:
    """A step whose state lives on the device.

    Args:
        executable: as from `compile_program`, for one device.
        device: that one.
        state: the first values, in the program's order.
        updated: which of them each result after the function's own replaces.
        results: number of the function's own.
    """

    def __init__(self, executable, device, state: Sequence[np.ndarray], updated: Sequence[int], results: int):
        self._executable, self._device = executable, device
        self._updated, self._results = updated, results
        self.state = [self.put(value) for value in state]

    def put(self, value: np.ndarray):
        """An array on the device."""
        import jax

        return jax.device_put(np.asarray(value), self._device)

    def __call__(self, *inputs) -> list[Any]:
        """Takes one step; the function's own results, still on the device."""
        done = self._executable.execute_sharded([*inputs, *self.state])
        arrays = [shards[0] for shards in done.disassemble_into_single_device_arrays()]
        for i, value in zip(self._updated, arrays[self._results :], strict=True):
            self.state[i] = value
        return arrays[: self._results]


class Clock:
    """The time of steps that are computed while the next ones are being sent; the first two are left out."""

    WARM_UP = 2

    def __init__(self, batch_size: int):
        self._batch_size, self._steps, self._counted, self._seconds = batch_size, 0, 0, 0.0
        self._begun = self._start = time.perf_counter()

    def after_step(self, loss, last: bool) -> None:
        """Waits for the device now and then, and at an epoch's end, which is not counted beyond that."""
        self._steps += 1
        if self._steps <= self.WARM_UP:
            loss.block_until_ready()
            self._start = time.perf_counter()
            return
        self._counted += 1
        if last or self._counted % 8 == 0:  # let a few steps queue up, not hundreds
            loss.block_until_ready()
            now = time.perf_counter()
            self._seconds += now - self._start
            self._start = now

    def resume(self) -> None:
        """Goes on after what is no step."""
        self._start = time.perf_counter()

    @property
    def wall_seconds(self) -> float:
        return time.perf_counter() - self._begun

    @property
    def step_seconds(self) -> float | None:
        return self._seconds / self._counted if self._counted else None

    @property
    def images_per_second(self) -> float | None:
        return self._batch_size / self.step_seconds if self._counted else None


def matrix_rate(dtype: str, device) -> float:
    """The fastest product of two square matrices on the device, in operations a second."""
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
