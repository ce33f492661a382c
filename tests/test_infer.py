"""The staircase upwards: frames to what they say, and to the variation that makes them again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Padding, Spelling
from fakellm.base.errors import StreamError
from fakellm.fuzzing.strategies import completions, variations
from fakellm.importing.infer import infer
from fakellm.importing.read_spelling import rendered
from fakellm.model.blocks import Completion, ToolCall, Usage
from fakellm.wire.sse import Decoder
from tests.chats import DRAWN, chat_choice
from tests.conftest import CORPUS

SAID = Completion(
    choices=(
        chat_choice("One two three.", "Hm, so", "", (ToolCall("i", "f", '{"a":1}'), ToolCall("j", "g")), "tool_calls"),
    ),
    usage=Usage(3, 9, reasoning=2),
)


@settings(max_examples=10)
@given(st.data(), completions(), st.sampled_from(sorted(DIALECTS)))
def test_the_meaning_is_read_from_any_stream(data: st.DataObject, completion: Completion, name: str) -> None:
    frames = rendered(completion, data.draw(variations(completion, "standard")), DIALECTS[name], DRAWN)
    found = infer(frames, DIALECTS[name]).completion
    if found.usage is not None:
        found = msgspec.structs.replace(found, usage=msgspec.structs.replace(found.usage, own={}))
    assert found == completion


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize(
    "variation",
    [
        Variation(),
        Variation(padding=40, ticks=(3, 7, 7)),
        Variation(padding=(Padding(2, "delta", {"content": ""}), Padding(1, "finish"))),
        Variation(split={"content": "characters", "reasoning": 3, "arguments": (2, 4)}),
        Variation(role="every", finish="last", usage="finish"),
        Variation(role="first", finish="twice", usage="both", unfinished="empty"),
        Variation(finish="calls", split={"arguments": 3}),
        Variation(usage="after", unfinished="null", id="first_empty"),
        Variation(padding=(Padding(2, (1,), choices="absent"), Padding(1, "finish", choices="null"))),
        Variation(padding=(Padding(1, (2,), choices="absent", chunk={"ping": 1}),), usage_choices="absent"),
        Variation(padding=(Padding(1, "end", choices=False, chunk={"ping": 1}), Padding(1, "end")), usage="own"),
        Variation(usage="own", usage_before="zeros", usage_choices="null"),
        Variation(reasoning="both", fill={"delta": {"content": "empty"}}),
        Variation(split={"arguments": "tokens"}, calls=Calls(id="null", type="repeated", name="empty")),
        Variation(together=("calls",), calls=Calls(index="from_one")),
        Variation(spelling=Spelling(ascii=True, extra={"provider": "x"}, each={"p": ("a", "bc")})),
        Variation(
            spelling=Spelling(
                keys=("model", "id", "choices", "usage", "created"), choice_keys=("delta", "index", "finish_reason")
            )
        ),
    ],
)
def test_the_variation_found_makes_the_same_frames(variation: Variation, name: str) -> None:
    frames = rendered(SAID, variation, DIALECTS[name], DRAWN)
    found = infer(frames, DIALECTS[name])
    assert rendered(found.completion, found.variation, DIALECTS[name], found.drawn) == frames


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_plain_stream_is_found_to_be_plain(name: str) -> None:
    """Nothing is said of what the provider does anyway."""
    assert infer(rendered(SAID, Variation(), DIALECTS[name], DRAWN), DIALECTS[name]).variation == Variation()


@pytest.mark.parametrize("name", ["openai", "zai", "zai-2025"])
def test_a_finish_with_each_call_is_read_as_one_habit(name: str) -> None:
    found = infer(rendered(SAID, Variation(finish="calls"), DIALECTS[name], DRAWN), DIALECTS[name])
    assert found.variation == Variation(finish="calls")


def test_usage_that_no_dialect_makes_is_kept_word_for_word() -> None:
    odd = msgspec.structs.replace(
        SAID, usage=Usage(3, 9, own={"chat": {"total": 1, "details": {"cost": 0.5, "prompt_tokens_details": None}}})
    )
    completion = infer(rendered(odd, Variation(), DIALECTS["xai"], DRAWN), DIALECTS["xai"]).completion
    assert completion.usage == odd.usage


TEXT = st.none() | st.sampled_from(["", "a", "b c"])
NUMBER = st.none() | st.integers(-1, 3)


def objects(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the keys, with values that one might meet there."""
    return st.fixed_dictionaries({}, optional=keys)


FUNCTION = objects(name=TEXT, arguments=TEXT)
CALL = objects(index=NUMBER, id=TEXT, type=TEXT, function=st.none() | FUNCTION, x=TEXT)
DETAIL = objects(type=st.sampled_from(["reasoning.text", "reasoning.encrypted"]), text=TEXT, data=TEXT, index=NUMBER)
DELTA = objects(
    role=TEXT,
    content=TEXT,
    reasoning=TEXT,
    reasoning_content=TEXT,
    refusal=TEXT,
    reasoning_details=st.none() | st.lists(DETAIL, max_size=2),
    tool_calls=st.none() | st.lists(CALL, max_size=3),
    y=TEXT,
)
CHOICE = objects(index=NUMBER, finish_reason=TEXT, delta=st.none() | DELTA, logprobs=st.none(), z=NUMBER)
USAGE = objects(prompt_tokens=NUMBER, completion_tokens=NUMBER, total_tokens=NUMBER, cost=st.floats(0, 1))
FRAME = objects(
    id=TEXT,
    created=NUMBER,
    model=TEXT,
    object=TEXT,
    system_fingerprint=TEXT,
    usage=st.none() | USAGE,
    choices=st.none() | st.lists(CHOICE, max_size=2),
)


@settings(max_examples=150)
@given(st.lists(FRAME.map(json.dumps), max_size=6), st.sampled_from(sorted(DIALECTS)))
def test_any_chunks_are_read_or_refused(frames: list[str], name: str) -> None:
    try:
        infer(frames, DIALECTS[name])
    except StreamError:
        return


@pytest.mark.parametrize("frames", [[], ["{"], ['{"choices": 3}'], ["[]"]])
def test_what_is_not_a_stream_of_chunks(frames: list[str]) -> None:
    with pytest.raises(StreamError):
        infer(frames, DIALECTS["openai"])


def recorded_by_xai() -> list[list[str]]:
    """The data of the events of each recorded xAI stream, without `[DONE]`."""
    index = CORPUS / "index.json"
    if not index.exists():
        pytest.skip(f"the recordings are not here: no {index}")
    streams = []
    for entry in json.loads(index.read_text(encoding="utf-8"))["entries"]:
        places = [each["i"] for each in entry["exchanges"] if (each["provider"], each["stream"]) == ("xai", True)]
        if entry["format"] == "go-vcr-yaml-v2" and places:
            text = (CORPUS / entry["file"]).read_text(encoding="utf-8")
            interactions = yaml.load(text, Loader=yaml.CSafeLoader)["interactions"]
            bodies = [interactions[place]["response"]["body"].encode() for place in places]
            streams += [[event.data for event in Decoder().feed(body) if event.data != "[DONE]"] for body in bodies]
    return streams


def test_every_recorded_xai_stream_comes_back_from_values_of_meaning() -> None:
    streams = recorded_by_xai()
    assert streams
    for frames in streams:
        found = infer(frames, DIALECTS["xai"])
        assert rendered(found.completion, found.variation, DIALECTS["xai"], found.drawn) == frames
