"""Batches and completions to lines and bodies, in the order and with the habits of a dialect. The inverse of `read`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fakellm.apis.ollama.dialects import MESSAGE
from fakellm.apis.ollama.errors import error_value
from fakellm.apis.ollama.habits import OllamaHabits
from fakellm.apis.ollama.meaning import COUNTS, METRICS, NAME, arguments_value
from fakellm.apis.protocol import Answer
from fakellm.apis.skeleton import Draft, Fill, in_bulk, per_event
from fakellm.base.json_text import JSON, spelled
from fakellm.base.template import Hole, HoleText, resolved
from fakellm.model.blocks import Choice, Text, Token, ToolCall, Usage
from fakellm.model.deltas import Batch, Count, End, Finish, Open, Piece, Silence
from fakellm.model.rfc3339 import rfc3339


def write_lines(batches: Sequence[Batch], answer: Answer[OllamaHabits]) -> Iterator[tuple[Draft, ...]]:
    """The line of each batch. A batch that ends the stream with an error has a line for it, after that of the rest."""
    writer = _Writer(answer)
    for batch in batches:
        end = next((delta for delta in batch if isinstance(delta, End)), None)
        failed = end is not None and end.error is not None
        drafts = () if failed and len(batch) == 1 else (writer.line(batch, end is not None and not failed),)
        yield (*drafts, Draft(error_value(end.error), answer.habits.spelling)) if failed and end else drafts


def write_body(answer: Answer[OllamaHabits]) -> bytes:
    """The body of a reply that is not streamed."""
    completion, habits = answer.completion, answer.habits
    choice = completion.choices[0] if completion.choices else Choice()
    tokens_sent = completion.usage.output if completion.usage else 0
    ended = answer.drawn["started"] + tokens_sent * answer.drawn["step"]
    calls = [_call(call, number, call.arguments, habits) for number, call in enumerate(choice.tool_calls)]
    tokens = tuple(token for block in choice.blocks if isinstance(block, Text) for token in block.logprobs)
    content = _content(choice.content, choice.reasoning, calls, {}, habits)
    values = {
        "model": answer.drawn["model"],
        "created_at": rfc3339(ended, habits.digits),
        **content,
        **({"logprobs": _tokens(tokens)} if tokens else {}),
        "done": True,
        **({"done_reason": choice.finish.reason} if choice.finish else {}),
    }
    if completion.usage is not None:
        values |= metrics(completion.usage)
    before, after = habits.margins
    return (before + spelled(_ordered(values, habits, 0, True), habits.spelling) + after).encode()


def metrics(usage: Usage) -> JSON:
    """The metrics of a usage, and its context; a zero is left out."""
    values = {**usage.own.get(NAME, {}), **dict(zip(COUNTS, (usage.input, usage.output), strict=True))}
    return {key: values[key] for key in ("context", *METRICS) if values.get(key)}


class _Writer:
    """What a line depends on besides its batch: how many lines and calls there were."""

    def __init__(self, answer: Answer[OllamaHabits]) -> None:
        self.habits, self.drawn = answer.habits, answer.drawn
        self.number = 0
        self.calls = 0

    def line(self, batch: Batch, last: bool) -> Draft:
        """The line of a batch."""
        texts: dict[str, Any] = {"parts.0": "", "text": ""}
        tokens: tuple[Token, ...] = ()
        calls: list[JSON] = []
        arguments = {
            delta.block: delta.value for delta in batch if isinstance(delta, Piece) and delta.at == "arguments"
        }
        look: Any = {}
        values: JSON = {"model": self.drawn["model"], "created_at": in_bulk("created_at", self._created)}
        usage = False
        for delta in batch:
            match delta:
                case Open(_, block, ToolCall() as call):
                    calls.append(_call(call, self.calls, arguments.get(block, call.arguments), self.habits))
                    self.calls += 1
                case Piece(_, _, at, str(value), logprobs) if at in texts:
                    texts[at] = value if not texts[at] else texts[at] + value
                    tokens += logprobs
                case Silence(_, _, found):
                    look = found.get("delta") if isinstance(found, dict) else None
                case Finish(_, stop):
                    values["done_reason"] = stop.reason
                case Count():
                    usage = True
        added = look if isinstance(look, dict) else {}
        values |= _content(texts["text"], texts["parts.0"], calls, added, self.habits)
        values |= {"logprobs": _tokens(tokens)} if tokens else {}
        values["done"] = last
        number, self.number = self.number, self.number + 1
        if usage:
            return Draft(self._counted(values, number, last), self.habits.spelling)
        return Draft(_ordered(values, self.habits, number, last), self.habits.spelling)

    def _counted(self, values: JSON, number: int, last: bool) -> Hole:
        """A line with metrics: which keys it has depends on them."""

        def made(fill: Fill) -> JSON:
            filled: JSON = _filled(values, fill)
            return _ordered(filled | metrics(fill.counted), self.habits, number, last)

        return per_event("metrics", made)

    def _created(self, fill: Fill, numbers: Sequence[int], pieces: Sequence[str]) -> list[str]:
        """The time of each line: later than that of the one before it."""
        started, step, drawn = fill.drawn["started"], fill.drawn["step"], fill.numbers("created_at", numbers[-1])
        digits = self.habits.digits
        return [f'"{rfc3339(started + number * step + drawn[number] % step, digits)}"' for number in numbers]


def _content(content: str, thinking: str, calls: list[JSON], look: JSON, habits: OllamaHabits) -> JSON:
    """The message of a line, or what stands in its place on `/api/generate`. `look`: other keys of a silence."""
    values: JSON = {"role": "assistant", "content": content}
    values |= {"thinking": thinking} if thinking else {}
    values |= {"tool_calls": calls} if calls else {}
    values |= look
    if habits.route == "generate":
        del values["role"]
        return {"response": values.pop("content"), **values}
    keys = habits.spelling.delta_keys
    if keys is None:
        return {"message": {key: values[key] for key in (*MESSAGE, *values) if key in values}}
    return {"message": {key: values[key] for key in keys if key in values}}


def _call(call: ToolCall, number: int, arguments: Any, habits: OllamaHabits) -> JSON:
    """A call; its arguments may be a hole."""
    index = {"zero": 0, "from_one": number + 1, "null": None}.get(habits.index, number)
    value = arguments_value(arguments)
    if isinstance(arguments, HoleText):
        value = per_event("arguments", lambda fill: arguments_value(resolved(arguments, fill)))
    function = {**({} if habits.index == "absent" else {"index": index}), "name": call.name, "arguments": value}
    values: JSON = {"id": call.id, "function": function}
    keys = habits.spelling.call_keys or tuple(values)
    return {key: values[key] for key in keys if key in values and (key != "id" or call.id)}


def _tokens(tokens: Sequence[Token]) -> list[JSON]:
    """Log probabilities, as the structs `Logprob` and `TokenLogprob` of Ollama's source have them."""
    return [
        {**_token(token), **({"top_logprobs": [_token(each) for each in token.top]} if token.top else {})}
        for token in tokens
    ]


def _token(token: Token) -> JSON:
    data = list(token.token.encode("utf-8", "surrogatepass")) if token.bytes == () else list(token.bytes or ())
    return {"token": token.token, "logprob": token.logprob, **({"bytes": data} if data else {})}


def _ordered(values: JSON, habits: OllamaHabits, number: int, last: bool) -> JSON:
    """The keys of a line in their order, with those that the spelling adds."""
    spelling = habits.spelling
    own = dict(spelling.extra or {})
    for key, each in (spelling.each or {}).items():
        if number in (each if isinstance(each, dict) else range(len(each))):
            own[key] = each[number]
    if spelling.usage_keys is not None:
        values = {key: value for key, value in values.items() if key not in METRICS or key in spelling.usage_keys}
    values = {**values, **own}
    chosen = (spelling.last_keys if last else None) or spelling.keys
    if chosen is not None:
        return {key: values[key] for key in chosen if key in values}
    keys = habits.dialect.keys[habits.route]
    return {key: values[key] for key in (*keys, *values) if key in values}


def _filled(value: Any, fill: Fill) -> Any:
    """The value with its holes filled."""
    if isinstance(value, Mapping):
        return {key: _filled(item, fill) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, fill) for item in value]
    return resolved(value, fill)
