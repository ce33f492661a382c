"""Runs the `openai` package: `create(stream=True)`, its chunks added up as a careful user would.

`python -m fakellm.drivers.openai_raw` starts it.
"""

from __future__ import annotations

from typing import Any

import openai

from fakellm.drivers.loop import Result, run
from fakellm.drivers.tally import Tally

CLIENT = openai.OpenAI(base_url="http://given-with-each-case", api_key="any", max_retries=0)


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    tally = Tally()
    for chunk in CLIENT.with_options(base_url=base_url, timeout=timeout).chat.completions.create(**request):
        tally.add(chunk)
    return tally.result()


if __name__ == "__main__":
    run(answer)
