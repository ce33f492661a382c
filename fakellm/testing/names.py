"""Names made of a test's id: readable, and another one for each test."""

from __future__ import annotations

import re
from hashlib import blake2b


def session_name(test: str) -> str:
    """The name of a test's session, short enough for a URL."""
    return f"{_digest(test)}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', test)[-100:]}"


def file_name(test: str) -> str:
    """The name of a file for a test, without a suffix. It ends in a digest unless it has the test's whole name."""
    name = test.replace("::", "-")
    kept = re.sub(r"[^A-Za-z0-9_.\[\]-]+", "-", name)[-150:]
    return kept if kept == name else f"{kept}-{_digest(test)}"


def _digest(test: str) -> str:
    return blake2b(test.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
