"""Holds a file for one process: two recorders that write to one file would mix their lines. It knows no formats.

The lock belongs to the open file, so the system releases it however the process ends. Windows has no such lock; there,
a file can be opened twice.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl


def open_alone(path: Path) -> IO[bytes]:
    """The file opened to append to it, without a buffer, and locked; it is created if it does not exist.

    Raises BlockingIOError if another recorder has it, with its process in the message if the system names it.
    """
    while True:
        file = path.open("ab", buffering=0)
        try:
            _lock(file, path)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):  # else it was replaced before it was locked
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file: IO[bytes], path: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(os.fstat(file.fileno()))
        who = "this process" if holder == os.getpid() else f"process {holder}" if holder else "another process"
        message = f"{who} records to it at the moment: record to another file, or end that recorder first"
        raise BlockingIOError(None, message, str(path)) from None
    except OSError:  # a file system without locks
        return


def _holder(file: os.stat_result) -> int | None:
    """The process that has locked a file, where the system lists its locks (Linux)."""
    locked = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    try:
        lines = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    return next((int(line[4]) for line in lines if line[1:2] == ["FLOCK"] and line[5] == locked), None)
