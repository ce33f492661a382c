"""Runs the `openai` package: `AsyncOpenAI`, with the accumulator of `tally`.

`python -m fakellm.drivers.openai_async` starts it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import openai

from fakellm.drivers.loop import Result, run
from fakellm.drivers.tally import Tally

CLIENT = openai.AsyncOpenAI(base_url="http://given-with-each-case", api_key="any", max_retries=0)


async def answer(base_url: str, request: dict[str, Any], seconds: float) -> Result:
    tally = Tally()
    async for chunk in await CLIENT.with_options(base_url=base_url, timeout=seconds).chat.completions.create(**request):
        tally.add(chunk)
    return tally.result()


if __name__ == "__main__":
    with asyncio.Runner() as loop:
        run(lambda *case: loop.run(answer(*case)))
