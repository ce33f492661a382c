"""Reads cassettes with requests and responses in two lists, as the test suites of LangChain write them from vcrpy."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from fakellm.base.errors import CassetteError
from fakellm.base.words.count import count
from fakellm.recordings.cassette import Cassette
from fakellm.recordings.formats import vcrpy
from fakellm.recordings.formats.typed_values import typed


class _File(Struct):
    IGNORED: ClassVar = ("version",)

    requests: list[Any]
    responses: list[Any]


def load(data: Any, name: str) -> Cassette:
    """The recording in the value of a file. Raises CassetteError."""
    read = typed(data, _File, name)
    if len(read.requests) != len(read.responses):
        counts = f"{count(len(read.requests), 'request')} and {count(len(read.responses), 'response')}"
        raise CassetteError([f"{name}: {counts}; each request needs its response"])
    pairs = [
        {"request": request, "response": response}
        for request, response in zip(read.requests, read.responses, strict=True)
    ]
    return vcrpy.load({"interactions": pairs}, name)
