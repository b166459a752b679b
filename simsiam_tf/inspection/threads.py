"""Shares work among threads."""

import concurrent.futures
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

_Result = TypeVar("_Result")


def in_threads(
    work: Callable[[Sequence[int]], _Result], positions: Sequence[int], chunk: int, threads: int
) -> Iterator[tuple[Sequence[int], _Result]]:
    """Does work for chunks of positions, in several threads.

    Args:
        work: a function of some positions.
        positions: all positions.
        chunk: the number of positions for a call.
        threads: the number of threads.

    Yields:
        The positions of each chunk and the result of the work, in order.
    """
    chunks = [positions[start : start + chunk] for start in range(0, len(positions), chunk)]
    pool = concurrent.futures.ThreadPoolExecutor(threads, "inspect")
    try:
        yield from zip(chunks, pool.map(work, chunks), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)
