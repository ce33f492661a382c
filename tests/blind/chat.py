"""A careful client of chat completions, with every method a step that a bug can replace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.blind.http import Result
from tests.blind.sse import Event, Sse
from tests.blind.wire import ClientError

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
JSON = dict[str, Any]


@dataclass
class Call:
    """A tool call as far as it was read."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class Choice:
    """A choice as far as it was read."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None


@dataclass
class Answer:
    """An answer as far as it was read."""

    n: int = 1
    choices: dict[int, Choice] = field(default_factory=dict)
    usage: JSON | None = None
    done: bool = False


class Chat(Sse):
    """Returns all choices; raises unless the answer is whole."""

    path = "/chat/completions"

    def read(self, events: Iterator[Event], request: JSON) -> Result:
        answer = Answer(request.get("n") or 1)
        for event in events:
            if self.is_done(event):
                answer.done = True
                break
            if self.is_chunk(event):
                self.event(answer, event)
        self.check(answer)
        return self.result(answer)

    def whole(self, body: Any, request: JSON) -> Result:
        answer = Answer(request.get("n") or 1, done=True)
        for choice in body.get("choices") or () if isinstance(body, dict) else ():
            choice["delta"] = choice.pop("message", None)
        self.chunk(answer, body)
        self.check(answer)
        return self.result(answer)

    def is_done(self, event: Event) -> bool:
        """Whether an event is the end mark."""
        return event.data.strip() == "[DONE]"

    def is_chunk(self, event: Event) -> bool:
        """Whether an event has a chunk: one of another type has none (HTML 9.2.6), but for an error."""
        return event.type in ("", "message", "error") and bool(event.data.strip())

    def event(self, answer: Answer, event: Event) -> None:
        """Adds the chunk of an event. An event of the type `error` has none, whatever its data."""
        chunk = self.parsed(event.data)
        if event.type == "error":
            self.at_error({"error": chunk})
        else:
            self.chunk(answer, chunk)

    def chunk(self, answer: Answer, chunk: Any) -> None:
        """Adds a chunk."""
        if not isinstance(chunk, dict):
            raise ClientError(f"not a chunk: {str(chunk)[:80]}")
        self.at_error(chunk)
        for place, choice in enumerate(chunk.get("choices") or ()):
            self.choice(answer, choice, place)
        self.usage(answer, chunk)

    def at_error(self, chunk: JSON) -> None:
        """Raises the error that a chunk contains, or that it is (Mistral)."""
        if chunk.get("error") or chunk.get("object") == "error":
            raise ClientError(str(chunk.get("error") or chunk))

    def choice(self, answer: Answer, choice: JSON, place: int) -> None:
        """Adds what a chunk has of a choice."""
        state = answer.choices.setdefault(self.index(choice, place), Choice())
        self.delta(state, choice.get("delta") or {})
        self.finish(state, choice)

    def index(self, choice: JSON, place: int) -> int:
        """The number of a choice."""
        number: int = choice.get("index", 0)
        return number

    def finish(self, state: Choice, choice: JSON) -> None:
        """Keeps the last finish reason."""
        state.finish = choice.get("finish_reason") or state.finish

    def delta(self, state: Choice, delta: JSON) -> None:
        """Adds a delta."""
        self.content(state, delta)
        self.reasoning(state, delta)
        state.refusal.append(delta.get("refusal") or "")
        self.calls(state, delta)

    def content(self, state: Choice, delta: JSON) -> None:
        """Adds content: a text or a list of parts."""
        content = delta.get("content")
        if isinstance(content, str):
            state.content.append(content)
        for part in content if isinstance(content, list) else ():
            if part.get("type") == "text":
                state.content.append(part["text"])
            elif part.get("type") == "thinking":
                state.reasoning += [item.get("text") or "" for item in part["thinking"]]

    def reasoning(self, state: Choice, delta: JSON) -> None:
        """Adds reasoning, which providers spell in three ways, sometimes in several at once."""
        text = delta.get("reasoning_content") or delta.get("reasoning")
        if not text:
            details = delta.get("reasoning_details") or ()
            text = "".join(item.get("text") or item.get("summary") or "" for item in details)
        state.reasoning.append(text)

    def calls(self, state: Choice, delta: JSON) -> None:
        """Adds fragments of tool calls."""
        for fragment in delta.get("tool_calls") or ():
            self.fragment(self.call(state, fragment), fragment)

    def call(self, state: Choice, fragment: JSON) -> Call:
        """The call that a fragment belongs to: by its index, or a new one if it has another id."""
        identity = fragment.get("id") or ""
        number = fragment.get("index")
        if number is None:
            number = len(state.calls) - (0 if identity else 1)
        for call in reversed(state.calls):
            if call.index == number and (not identity or call.id in ("", identity)):
                return call
        state.calls.append(Call(number, identity))
        return state.calls[-1]

    def fragment(self, call: Call, fragment: JSON) -> None:
        """Adds a fragment to its call."""
        function = fragment.get("function") or {}
        call.id = call.id or fragment.get("id") or ""
        call.name = call.name or function.get("name") or ""
        call.arguments += self.arguments(function.get("arguments"))

    def arguments(self, arguments: Any) -> str:
        """The text of a fragment's arguments."""
        return arguments or ""

    def usage(self, answer: Answer, chunk: JSON) -> None:
        """Keeps the last usage."""
        answer.usage = chunk.get("usage") or answer.usage

    def check(self, answer: Answer) -> None:
        """Raises unless the answer is whole: each choice has its finish reason, or the stream its end mark."""
        if not answer.choices:
            raise ClientError("the stream has no choice")
        numbers = set(range(answer.n)) | set(answer.choices)
        missing = [number for number in numbers if not answer.choices.get(number, Choice()).finish]
        if missing and not answer.done:
            raise ClientError(f"the stream ended within choices {missing}")

    def result(self, answer: Answer) -> Result:
        """What the caller gets."""
        choices = [self.one(answer.choices[number]) for number in sorted(answer.choices)]
        return {**choices[0], "usage": self.counts(answer.usage), "choices": choices}

    def counts(self, usage: JSON | None) -> JSON | None:
        """The token counts that the provider sent."""
        return usage and {key: usage[key] for key in COUNTS if key in usage}

    def one(self, state: Choice) -> Result:
        """What the caller gets of a choice."""
        cut = state.finish in (None, "length", "content_filter")
        calls = []
        for call in sorted(state.calls, key=lambda call: call.index):
            if not call.name:
                raise ClientError("a tool call without a name")
            calls.append({"name": call.name, "arguments": self.whole_arguments(self.joined(call.arguments), cut)})
        return {
            "content": self.joined(state.content),
            "reasoning": self.joined(state.reasoning),
            "refusal": self.joined(state.refusal),
            "tool_calls": calls,
            "finish_reason": state.finish,
        }
