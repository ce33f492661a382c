"""What a process costs, read from /proc: CPU time, resident memory, its peak."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from time import sleep

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """CPU time since its start, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def settle(pid: int) -> None:
    """Waits until a process is idle, so that what it still does for clients that left disturbs no other one."""
    before = -1.0
    while (now := cpu_seconds(pid)) != before:
        before = now
        sleep(0.1)


def resident(pid: int) -> int:
    """Bytes of resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def peak(pid: int) -> int:
    """The most bytes of resident memory so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def allow_sockets(count: int) -> None:
    """Lets this process, and those that it starts, open so many sockets. Raises ValueError if the system forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        hard = hard if hard == resource.RLIM_INFINITY else max(hard, count)
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run, in the order of their numbers."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has ended meanwhile
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(file.parent.name))
    return sorted(found)


def family(pid: int) -> list[int]:
    """A process and those that it has started."""
    return [pid, *children(pid)]
