"""Runs a package that reads server-sent events over an HTTP client: the one that the argument names.

`python -m fakellm.drivers.sse_readers httpx-sse` starts it; the other is `sseclient-py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from fakellm.drivers.loop import Result, run
from fakellm.drivers.reads import counted
from fakellm.drivers.tally import Tally


class Fields(dict[str, Any]):
    """An object of JSON whose keys are attributes; one that is missing is None."""

    __getattr__ = dict.get


def httpx_sse(url: str, request: dict[str, Any], timeout: float) -> Iterator[Any]:
    import httpx
    from httpx_sse import connect_sse

    with httpx.Client(timeout=timeout) as client, connect_sse(client, "POST", url, json=request) as source:
        if source.response.is_error:
            raise RuntimeError(f"{source.response.status_code}: {source.response.read().decode()}")
        yield from source.iter_sse()


def sseclient_py(url: str, request: dict[str, Any], timeout: float) -> Iterator[Any]:
    import requests
    from sseclient import SSEClient

    response = requests.post(url, json=request, timeout=timeout, stream=True)
    if not response.ok:
        raise RuntimeError(f"{response.status_code}: {response.text}")
    yield from SSEClient(counted(response)).events()


READERS = {"httpx-sse": httpx_sse, "sseclient-py": sseclient_py}


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    tally = Tally()
    for event in READERS[sys.argv[1]](f"{base_url}/chat/completions", request, timeout):
        if event.event == "error":
            raise RuntimeError(event.data)
        if event.event not in ("message", "", None):
            continue
        if event.data == "[DONE]":
            break
        chunk = json.loads(event.data, object_hook=Fields)
        if chunk.error:
            raise RuntimeError(chunk.error)
        tally.add(chunk)
    if not tally.choices or not all(choice["finish_reason"] for choice in tally.choices.values()):
        raise RuntimeError("the stream ended before every choice had finished")
    return tally.result()


if __name__ == "__main__":
    run(answer)
