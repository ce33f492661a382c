"""Answers a test from a recording, which is made the first time that the test runs. Owns where it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fakellm.testing.handle import Handle
from fakellm.testing.names import file_name

FAILED = pytest.StashKey[bool]()
"""Whether a test has failed; absent until it has run."""


@contextmanager
def recorded(node: Any, upstream: str | None = None, file: str | Path | None = None) -> Iterator[tuple[Handle, bool]]:
    """The server of a test with the marker, and whether it records now. Without an `upstream`, it never does, and a
    test without a recording fails.

    file: relative to the folder of the test; by default `recordings/<test file>/<test>.jsonl`. A test that fails or
    that sends nothing leaves no recording. Raises what `fakellm.record` and `fakellm.replay` raise.
    """
    from fakellm.testing.launchers import record, replay

    test = Path(node.path)
    name = file_name(str(node.nodeid).partition("::")[2])
    path = test.parent / (file or Path("recordings", test.stem, f"{name}.jsonl"))
    if path.exists():
        with replay(path, again="fail") as server:
            yield server, False
        return
    if upstream is None:
        remedy = '@pytest.mark.fakellm_recording("https://api.openai.com/v1") makes it, with the base URL of your API'
        pytest.fail(f"there is no recording {path}: {remedy}", pytrace=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with record(upstream, path) as server:
            yield server, True
    finally:
        if node.stash.get(FAILED, True) or path.read_bytes().count(b"\n") < 2:
            path.unlink(missing_ok=True)
