"""Finds out how many cores and how much memory this process may use."""

import os
import pathlib


def usable_cores() -> int:
    """Returns the number of CPU cores that this process may use.

    If the system does not tell, this is the number of all cores.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Returns the free memory in bytes.

    If the system does not tell, this is all of its memory.
    """
    try:
        fields = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
