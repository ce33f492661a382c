"""Runs the `openai` package: `create(stream=True)`, its chunks added up as a careful user would.

`python -m fakellm.drivers.openai_raw` starts it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai

from fakellm.drivers.loop import Result, run, usage


class Tally:
    """Adds up chunks."""

    def __init__(self) -> None:
        self.choices: dict[int, Result] = {}
        self.usage: Any = None

    def add(self, chunk: Any) -> None:
        self.usage = chunk.usage or self.usage
        for part in chunk.choices or ():
            empty: Result = {"content": "", "reasoning": "", "refusal": "", "tool_calls": {}, "finish_reason": None}
            choice = self.choices.setdefault(part.index, empty)
            choice["finish_reason"] = part.finish_reason or choice["finish_reason"]
            if part.delta:
                _extend(choice, part.delta)

    def result(self) -> Result:
        choices = [self.choices[index] for index in sorted(self.choices)]
        for choice in choices:
            choice["tool_calls"] = [choice["tool_calls"][index] for index in sorted(choice["tool_calls"])]
        first = choices[0] if choices else {"content": "", "finish_reason": None}
        return {**first, "usage": usage(self.usage), **({"choices": choices} if len(choices) > 1 else {})}


def _get(delta: Any, key: str) -> Any:
    """A key that is not in OpenAI's own schema."""
    return getattr(delta, key, None)


def _extend(choice: Result, delta: Any) -> None:
    choice["content"] += delta.content or ""
    choice["refusal"] += delta.refusal or ""
    thoughts = "".join(each.get("text") or each.get("summary") or "" for each in _get(delta, "reasoning_details") or ())
    choice["reasoning"] += _get(delta, "reasoning_content") or _get(delta, "reasoning") or thoughts
    calls = choice["tool_calls"]
    for piece in delta.tool_calls or ():
        index = piece.index if piece.index is not None else len(calls) - (not piece.id)
        call = calls.setdefault(index, {"name": "", "arguments": ""})
        if piece.function:
            call["name"] = call["name"] or piece.function.name or ""
            call["arguments"] += piece.function.arguments or ""


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
