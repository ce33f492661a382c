"""A text is in the reply or in the patch: `check` rejects a rule that has it in both, and `import` writes none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fakellm.cli import main
from fakellm.importing.importer import imported
from fakellm.importing.replies.patched_texts import in_reply_and_patch
from fakellm.scenarios.loader import dump, load
from tests.test_import import CHUNK, HELLO, answered, recording, streamed


def repeated(rule: dict[str, Any]) -> list[tuple[int, str]]:
    scenario = load({"dialect": "ollama", "rules": [rule]})
    return list(in_reply_and_patch(scenario.named_rules()[0]))


def chunk(delta: str) -> str:
    return f'data: {{"choices":[{{"index":0,"delta":{delta}}}]}}\n\n'


BODY = '{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi there"}}]}'
WHOLE = {"when": {"stream": False}, "reply": {"content": "Hi there"}}
STREAM = {"when": {"stream": True}, "reply": {"content": "Hi there"}, "stream": {"split": "words", "role": "first"}}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (WHOLE, []),
        (WHOLE | {"patch": [{"at": 0, "drop": 1, "frames": [BODY]}]}, [(0, "Hi there")]),
        (WHOLE | {"patch": [{"at": 0, "drop": 1, "frames": [BODY.replace("there", "you")]}]}, []),
        (WHOLE | {"reply": {"content": ""}, "patch": [{"at": 0, "drop": 1, "frames": [BODY]}]}, []),
        (WHOLE | {"patch": [{"at": 0, "drop": 1, "frames": ["not JSON"]}]}, []),
        (STREAM | {"patch": [{"at": 1, "drop": 1, "frames": [chunk('{"content":" there"}')]}]}, [(0, " there")]),
        (STREAM | {"patch": [{"at": 1, "frames": [chunk('{"content":" there"}')]}]}, []),  # it adds a chunk
        (STREAM | {"patch": [{"at": 1, "drop": 1, "frames": [chunk('{"content":" you"}')]}]}, []),
        (STREAM | {"patch": [{"at": 1, "drop": 1}]}, []),
        (
            {"reply": {"tool_calls": [{"name": "f", "arguments": "{}", "id": "i"}]}, "when": {"stream": True}}
            | {"patch": [{"at": 0, "drop": 1, "frames": [chunk('{"tool_calls":[{"function":{"name":"f"}}]}')]}]},
            [(0, "f")],
        ),
        (
            {"when": {"api": "messages", "stream": False}, "reply": {"content": "Hi"}}
            | {"patch": [{"at": 0, "drop": 1, "frames": ['{"content":[{"type":"text","text":"Hi"}]}']}]},
            [(0, "Hi")],
        ),
        (
            {"when": {"api": "messages", "stream": False, "system": "Hi"}}
            | {"reply": {"template": True, "content": "{{system}}"}}
            | {"patch": [{"at": 0, "drop": 1, "frames": ['{"content":[{"type":"text","text":"Hi"}]}']}]},
            [(0, "Hi")],
        ),
    ],
)
def test_a_text_that_a_patch_repeats_is_found(rule: dict[str, Any], expected: list[tuple[int, str]]) -> None:
    assert repeated(rule) == expected


def test_every_reply_of_a_rule_is_looked_at() -> None:
    again = {"reply": {"content": "Hi there"}, "patch": [{"at": 0, "drop": 1, "frames": [BODY]}]}
    assert repeated(WHOLE | {"then": [again]}) == [(0, "Hi there")]


def test_check_rejects_a_text_in_both_and_says_where(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    rule = WHOLE | {"name": "hi", "patch": [{"at": 0, "drop": 1, "frames": [BODY]}]}
    file.write_text(dump(load({"rules": [rule]})))
    done = CliRunner().invoke(main, ["check", str(file)])
    assert done.exit_code == 2
    assert (
        f"{file}: hi: patch[0] repeats 'Hi there', which the reply has: to edit the reply would not change it. "
        "Leave it out of one of them" in done.output
    )


def test_a_frame_that_no_rule_can_spell_keeps_its_text_and_the_reply_has_the_rest() -> None:
    odd = CHUNK.replace(b'"content":"Hi"', b'"content":"Ho","content":"Ho"')
    cassette = recording((HELLO, streamed(CHUNK, odd, CHUNK, b"data: [DONE]\n\n")))
    scenario, report = imported([cassette])
    assert (report[0].outcome, report[0].frames) == ("patch", 1)
    assert scenario.rules[0].reply.content == "HiHi"
    assert [edit.drop for edit in scenario.rules[0].patch] == [0]
    assert answered(scenario, cassette.interactions[0].request) == cassette.interactions[0].response.body
