"""Where commands write what they make: a file, as a whole, or standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from fakellm.cli.serving import fail
from fakellm.recordings.whole_file import write_whole


def is_stdout(output: Path) -> bool:
    """Whether a path stands for standard output."""
    return str(output) == "-"


def check_output(output: Path, inputs: Iterable[Path]) -> None:
    """Ends the command if writing its output would overwrite one of its inputs."""
    if not is_stdout(output) and output.exists() and any(each.exists() and output.samefile(each) for each in inputs):
        fail(f"{output} is read, so it cannot be written as well: give -o another name", 2)


def write_output(output: Path, data: bytes) -> None:
    """Writes the file, or standard output for `-`. Ends the command if that fails."""
    try:
        if is_stdout(output):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            write_whole(output, data)
    except BrokenPipeError:  # its reader has left: click ends the command in silence
        raise
    except OSError as error:
        fail(f"{'standard output' if is_stdout(output) else output}: {(error.strerror or str(error)).lower()}", 2)
