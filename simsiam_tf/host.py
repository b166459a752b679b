"""Finds out what this process may use of the machine: cores, memory, instructions."""

import ctypes
import os
import pathlib
import sys

# The files of a container's limit, use and statistics, in versions 2 and 1 of Linux' control groups.
_GROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def usable_cores() -> int:
    """Returns the number of CPU cores that this process may use.

    If the system does not tell, this is the number of all cores.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_bfloat16(system: str = "/") -> bool | None:
    """Returns whether the CPU has instructions for bfloat16; `None` if the system does not tell.

    Args:
        system: the root of the file system in which Linux tells it.
    """
    try:
        lines = (pathlib.Path(system) / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    # x86 lists "flags", Arm "Features".
    known = [set(line.partition(":")[2].split()) for line in lines if line.startswith(("flags", "Features"))]
    return bool(known[0] & {"avx512_bf16", "amx_bf16", "bf16"}) if known else None


def available_memory(system: str = "/") -> int:
    """Returns the free memory in bytes: that of the machine, or that of the container if this is less.

    If the system does not tell, this is all of its memory.

    Args:
        system: the root of the file system in which Linux tells it.
    """
    root = pathlib.Path(system)
    try:
        fields = _fields(root / "proc/meminfo")
        there = int(fields["MemAvailable:"]) * 1024
    except (OSError, KeyError, ValueError):
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(there, *(_left_in_group(root / "sys/fs/cgroup", *names) or there for names in _GROUPS))


def _left_in_group(folder: pathlib.Path, limit: str, used: str, statistics: str, cache: str) -> int | None:
    """Returns the bytes that a container may still take; `None` if it has no limit."""
    try:
        most, taken = int((folder / limit).read_text()), int((folder / used).read_text())
        # Files that were read are kept as long as nothing else needs their place.
        return max(1, most - taken + int(_fields(folder / statistics).get(cache, 0)))
    except (OSError, ValueError):  # no such group, or "max"
        return None


def _fields(path: pathlib.Path) -> dict[str, str]:
    """Reads a file whose lines are a name and a number."""
    return {words[0]: words[1] for words in map(str.split, path.read_text().splitlines()) if len(words) > 1}


def resident_memory(system: str = "/") -> int:
    """Returns the bytes of memory that this process has now; 0 if the system does not tell.

    Args:
        system: the root of the file system in which Linux tells it.
    """
    try:
        return int((pathlib.Path(system) / "proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def return_memory() -> None:
    """Returns memory that is free to the system, where the C library can; each thread may hold gigabytes back."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)
