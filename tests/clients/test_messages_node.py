"""The real @anthropic-ai/sdk for Node, over real sockets: whole, streamed, counting, and an error within a stream."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

import fakellm
from fakellm.testing.handle import Handle
from tests.conftest import ROOT
from tests.messages.test_sdk import LOOP

SDK = ROOT / "fakellm" / "drivers" / "node_modules" / "@anthropic-ai" / "sdk" / "index.mjs"
pytestmark = pytest.mark.skipif(
    not (SDK.exists() and shutil.which("node")), reason="it is not installed: npm install --prefix fakellm/drivers"
)


def ran(server: Handle, case: str) -> Any:
    """What the SDK makes of a reply."""
    command = ["node", str(ROOT / "tests" / "messages" / "sdk.mjs"), SDK.as_uri(), server.url, case]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


@pytest.mark.parametrize("case", ["create", "stream"])
def test_a_message(case: str) -> None:
    with fakellm.serve(LOOP) as server:
        message = ran(server, case)
    thinking, text, call = message["content"]
    assert (thinking["thinking"], text["text"]) == ("Add first.", "I'll add.")
    assert thinking["signature"]
    assert (call["name"], call["input"]) == ("add", {"a": 2, "b": 3})
    assert message["stop_reason"] == "tool_use"
    usage = message["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (15, 10, 12)


def test_raw_events_and_the_count_of_tokens() -> None:
    with fakellm.serve(LOOP) as server:
        types = ran(server, "raw")
        assert ran(server, "tokens") == {"input_tokens": 4}
    assert types[:2] == ["message_start", "content_block_start"]
    assert types[-2:] == ["message_delta", "message_stop"]


def test_an_error_within_a_stream_is_thrown() -> None:
    rule = {"reply": {"content": "One two"}, "stream": {"split": "words"}}
    fault = {"kind": "error", "frame": 5, "status": 529}
    with fakellm.serve({"rules": [{**rule, "fault": fault}]}) as server:
        thrown = ran(server, "stream")
    assert thrown["thrown"].endswith("Error")
    assert thrown["body"]["error"]["type"] == "overloaded_error"
