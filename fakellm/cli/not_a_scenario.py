"""Recognizes files that a command takes for a scenario and that are something else: recordings, fixtures, others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fakellm.base.errors import CassetteError
from fakellm.scenarios.loader import SUFFIXES


def problems_of(paths: Sequence[Path], problems: Sequence[str]) -> list[str]:
    """The problems of files that were read as scenarios. Those of a recording give way to what can be done with it."""
    if not problems:
        return []
    others = {str(path): remedy for path in paths if (remedy := _remedy(path))}
    kept = [problem for problem in problems if not any(problem.startswith(f"{name}:") for name in others)]
    return [*(f"{name}: {remedy}" for name, remedy in others.items()), *kept]


def _remedy(path: Path) -> str:
    """What can be done with a file that is a recording or has fixtures; empty for any other. A JSON object that may be
    a response is none, because it may also be a scenario with mistakes."""
    from fakellm.importing.fixtures.fixture_file import read_fixtures
    from fakellm.recordings.formats import MOST_BYTES, read
    from fakellm.recordings.formats.detect import detect

    converts = f"`fakellm import {path} -o scenario.yaml` makes a scenario of"
    data = b""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return ""
        data = path.read_bytes()
        if read_fixtures(path):
            return f"fixtures of another server, not a scenario: {converts} them"
        if data.lstrip()[:1] == b"{" and detect(data, str(path))[0] == "json":
            return ""
        read(data, str(path), path.parent)
    except CassetteError:
        foreign = path.suffix and path.suffix not in SUFFIXES and not _RULES.search(data)
        return f"not a scenario ({', '.join(SUFFIXES)})" if foreign else ""
    except OSError:
        return ""
    return f"a recording, not a scenario: `fakellm replay {path}` answers with it as it is, {converts} it"


_RULES = re.compile(rb"^[\s{]*[\"']?rules[\"']?\s*:", re.MULTILINE)
"""The key that every scenario has."""
