"""Runs `huggingface_hub`: `InferenceClient.chat_completion(stream=True)`, its chunks added up as a careful user would.

`python -m fakellm.drivers.huggingface_hub_chat` starts it.
"""

from __future__ import annotations

from typing import Any

from huggingface_hub import InferenceClient

from fakellm.drivers.loop import Result, run
from fakellm.drivers.tally import Tally


def answer(base_url: str, request: dict[str, Any], timeout: float) -> Result:
    tally = Tally()
    with InferenceClient(base_url=base_url, api_key="any", timeout=timeout) as client:
        for chunk in client.chat_completion(**request):
            tally.add(chunk)
    return tally.result()


if __name__ == "__main__":
    run(answer)
