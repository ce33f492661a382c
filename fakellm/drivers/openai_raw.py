"""Runs the `openai` package: `create(stream=True)`, its chunks added up as a careful user would.

`python -m fakellm.drivers.openai_raw` starts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai

from fakellm.drivers.loop import Result, run
from fakellm.drivers.tally import Tally

READS: list[int] = []
"""The sizes of the reads of the current response, which show whether the client saw where the body was cut."""


class _CountsReads(httpx2.HTTPTransport):
    """Notes the size of each read."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = super().handle_request(request)
        response.stream = _Counted(response.stream)
        return response


class _Counted(httpx2.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            READS.append(len(data))
            yield data

    def close(self) -> None:
        self._stream.close()


CLIENT = openai.OpenAI(
    base_url="http://given-with-each-case",
    api_key="any",
    max_retries=0,
    http_client=openai.DefaultHttpxClient(transport=_CountsReads()),
)


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    tally = Tally()
    READS.clear()
    for chunk in CLIENT.with_options(base_url=base_url, timeout=timeout).chat.completions.create(**request):
        tally.add(chunk)
    return {**tally.result(), "reads": READS}


if __name__ == "__main__":
    run(answer)
