"""A client over Node's fetch() that decodes each read alone: fetch() joins what arrives at once, but no separate reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fakellm.fuzzing.clients.client_process import Driver
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import Search
from tests.clients.driving import DRIVERS, NODE

RIGHT = "of body.pipeThrough(new TextDecoderStream())) {"
WRONG = "of body) { text = new TextDecoder().decode(text);"


def test_it_is_found_within_fifty_cases(tmp_path: Path) -> None:
    node = NODE / ".bin" / "node"
    if not node.exists():
        pytest.skip("Node is not installed: npm install --prefix fakellm/drivers")
    for file in ("loop.mjs", "sse_chat.mjs", "tally.mjs"):
        shutil.copy(DRIVERS / file, tmp_path)
    client = (DRIVERS / "plain_fetch.mjs").read_text()
    assert RIGHT in client
    wrong = tmp_path / "each_read.mjs"
    wrong.write_text(client.replace("for await (const text " + RIGHT, "for await (let text " + WRONG))
    outcome = run(Driver([str(node), str(wrong)], 2.0, 10.0), Search(profile="all", examples=50))
    assert [cause.partition(":")[0] for cause in outcome.failures[0].cause] == ["transfer.cut"]
