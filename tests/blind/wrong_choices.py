"""Wrong clients: choices, deltas, reasoning, finish reasons and usage (OpenAI's chat reference, recorded providers)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.blind.bug import wrong
from tests.blind.chat import JSON, Answer, Chat, Choice
from tests.blind.http import Result
from tests.blind.sse import Event
from tests.blind.wire import ClientError


@wrong(Chat, "index", "OpenAI's chat reference: `index` is the index of the choice in the list of choices")
def counts_choices_by_place(self: Chat, choice: JSON, place: int) -> int:
    """Takes the place of a choice in its chunk for its index."""
    return place


@wrong(Chat, "chunk", "OpenAI's chat reference: `choices` can have more than one element if n is greater than 1")
def reads_the_first_choice_of_a_chunk(self: Chat, answer: Answer, chunk: Any) -> None:
    """Reads one choice of each chunk."""
    Chat.chunk(self, answer, {**chunk, "choices": (chunk.get("choices") or [])[:1]})


@wrong(Chat, "choice", "OpenAI's chat reference: no order of the choices is promised")
def expects_choices_in_order(self: Chat, answer: Answer, choice: JSON, place: int) -> None:
    """Fails on choice 1 if choice 0 did not come first."""
    if self.index(choice, place) > len(answer.choices):
        raise IndexError("list index out of range")
    Chat.choice(self, answer, choice, place)


@wrong(Chat, "read", "OpenAI's chat reference: each choice has its own finish_reason, and usage follows the last")
def ends_at_the_first_finish(self: Chat, events: Iterator[Event], request: JSON) -> Result:
    """Takes the first finish reason for the end of the stream."""
    answer = Answer(request.get("n") or 1, done=True)
    for event in events:
        if self.is_done(event):
            break
        if self.is_chunk(event):
            self.event(answer, event)
            if any(choice.finish for choice in answer.choices.values()):
                break
    self.check(answer)
    return self.result(answer)


@wrong(Chat, "result", "OpenAI's chat reference: each choice has its own finish_reason")
def shares_the_finish_reason(self: Chat, answer: Answer) -> Result:
    """Gives every choice the finish reason of the last one that finished."""
    last = list(answer.choices.values())[-1].finish
    for choice in answer.choices.values():
        choice.finish = last
    return Chat.result(self, answer)


@wrong(Chat, "choice", "Recorded providers: a choice may have no delta (Azure's content filter)")
def needs_the_delta(self: Chat, answer: Answer, choice: JSON, place: int) -> None:
    """Fails on a choice without a delta."""
    Chat.choice(self, answer, {**choice, "delta": choice["delta"]}, place)


@wrong(Chat, "choice", "Recorded providers: a choice may repeat the message so far beside its delta (Perplexity)")
def prefers_the_message(self: Chat, answer: Answer, choice: JSON, place: int) -> None:
    """Reads the message of a choice as if it were the delta."""
    Chat.choice(self, answer, {**choice, "delta": choice.get("message") or choice.get("delta")}, place)


@wrong(Chat, "choice", "Recorded providers: a choice may repeat its content as text (Together)")
def adds_the_text_of_a_choice(self: Chat, answer: Answer, choice: JSON, place: int) -> None:
    """Adds the text of a choice to its content."""
    Chat.choice(self, answer, choice, place)
    answer.choices[self.index(choice, place)].content.append(choice.get("text") or "")


@wrong(Chat, "delta", "OpenAI's chat reference: a delta may have a role and content")
def skips_deltas_with_a_role(self: Chat, state: Choice, delta: JSON) -> None:
    """Takes a delta with a role for an announcement without content."""
    Chat.delta(self, state, {} if delta.get("role") else delta)


@wrong(
    Chat,
    "delta",
    "OpenAI's chat reference: role, content, refusal and tool_calls are optional, and any may be together",
)
def reads_one_field_of_a_delta(self: Chat, state: Choice, delta: JSON) -> None:
    """Reads content, or else reasoning, or else calls, of a delta."""
    for key in ("content", "reasoning_content", "reasoning", "tool_calls"):
        if delta.get(key):
            return Chat.delta(self, state, {key: delta[key], "refusal": delta.get("refusal")})
    return Chat.delta(self, state, delta)


@wrong(Chat, "delta", "OpenAI's chat reference: content may be null")
def writes_none(self: Chat, state: Choice, delta: JSON) -> None:
    """Converts content to text, and so null to None."""
    Chat.delta(self, state, {**delta, "content": str(delta.get("content", ""))})


@wrong(Chat, "delta", "OpenAI's chat reference: the role of a delta is optional")
def checks_the_role(self: Chat, state: Choice, delta: JSON) -> None:
    """Fails on a delta whose role is there but is not a word that it knows."""
    if "role" in delta and delta["role"] not in ("assistant", "tool", "user", "system", "developer"):
        raise ClientError(f"unknown role {delta['role']}")
    Chat.delta(self, state, delta)


@wrong(Chat, "delta", "OpenAI's chat reference: nothing forbids content after a tool call")
def ignores_content_after_a_call(self: Chat, state: Choice, delta: JSON) -> None:
    """Ignores content once a tool call has begun."""
    Chat.delta(self, state, {**delta, "content": None} if state.calls else delta)


@wrong(Chat, "content", "Recorded providers: content may be a list of parts (Mistral)")
def takes_content_for_a_text(self: Chat, state: Choice, delta: JSON) -> None:
    """Converts content to text, and so a list of parts to its spelling in Python."""
    state.content.append(str(delta.get("content") or ""))


@wrong(Chat, "delta", "OpenAI's chat reference: `refusal` is the refusal message, apart from content")
def shows_a_refusal_as_content(self: Chat, state: Choice, delta: JSON) -> None:
    """Adds the refusal to the content."""
    Chat.delta(self, state, delta)
    state.content.append(delta.get("refusal") or "")


@wrong(Chat, "finish", "OpenAI's chat reference: finish_reason is null in all chunks but one")
def forgets_the_finish_reason(self: Chat, state: Choice, choice: JSON) -> None:
    """Lets a later null replace the finish reason."""
    state.finish = choice.get("finish_reason")


@wrong(Chat, "finish", "Recorded providers: a finish reason may be sent again, and the last one counts (Together)")
def keeps_the_first_finish_reason(self: Chat, state: Choice, choice: JSON) -> None:
    """Keeps the first finish reason."""
    state.finish = state.finish or choice.get("finish_reason")


@wrong(Chat, "choice", "OpenAI's chat reference: a chunk with a finish_reason may have a delta too")
def ignores_the_delta_at_the_finish(self: Chat, answer: Answer, choice: JSON, place: int) -> None:
    """Does not read the delta beside a finish reason."""
    Chat.choice(self, answer, {**choice, "delta": {}} if choice.get("finish_reason") else choice, place)


@wrong(Chat, "choice", "Recorded providers: content and calls may follow a finish reason (Together)")
def ignores_what_follows_the_finish(self: Chat, answer: Answer, choice: JSON, place: int) -> None:
    """Does not read the delta of a choice that has finished."""
    state = answer.choices.get(self.index(choice, place))
    Chat.choice(self, answer, {**choice, "delta": {}} if state and state.finish else choice, place)


@wrong(Chat, "finish", "Recorded providers: words beyond the reference's are sent (`eos`)")
def knows_the_finish_reasons(self: Chat, state: Choice, choice: JSON) -> None:
    """Fails on a finish reason that the reference does not have."""
    reasons = (None, "stop", "length", "tool_calls", "content_filter", "function_call")
    if choice.get("finish_reason") not in reasons:
        raise ClientError("unknown finish reason")
    Chat.finish(self, state, choice)


@wrong(Chat, "reasoning", "Recorded providers: reasoning is called `reasoning` too (Groq, OpenRouter, Ollama)")
def knows_one_name_of_reasoning(self: Chat, state: Choice, delta: JSON) -> None:
    """Reads `reasoning_content` only."""
    state.reasoning.append(delta.get("reasoning_content") or "")


@wrong(Chat, "reasoning", "Recorded providers: reasoning_details repeat the reasoning beside them (OpenRouter)")
def adds_the_details_of_reasoning(self: Chat, state: Choice, delta: JSON) -> None:
    """Adds the text and its details."""
    state.reasoning.append(delta.get("reasoning_content") or delta.get("reasoning") or "")
    state.reasoning += [item.get("text") or "" for item in delta.get("reasoning_details") or ()]


@wrong(Chat, "reasoning", "Recorded providers: reasoning may come after content, or be the last (xAI)")
def ends_reasoning_at_content(self: Chat, state: Choice, delta: JSON) -> None:
    """Takes reasoning after the content for a mistake, and drops it."""
    if not any(state.content):
        Chat.reasoning(self, state, delta)


@wrong(Chat, "reasoning", "Recorded providers: a delta of reasoning has content too, empty or null")
def needs_reasoning_without_content(self: Chat, state: Choice, delta: JSON) -> None:
    """Reads reasoning only from deltas that have no content key."""
    if "content" not in delta:
        Chat.reasoning(self, state, delta)


@wrong(Chat, "usage", "OpenAI's chat reference: usage is that of the entire request")
def adds_up_usage(self: Chat, answer: Answer, chunk: JSON) -> None:
    """Adds the usage of all chunks."""
    for key, count in (chunk.get("usage") or {}).items():
        if isinstance(count, int):
            answer.usage = answer.usage or {}
            answer.usage[key] = answer.usage.get(key, 0) + count


@wrong(Chat, "usage", "Recorded providers: usage may come with a choice (Z.ai, Vercel, Mistral, DeepSeek)")
def needs_usage_without_choices(self: Chat, answer: Answer, chunk: JSON) -> None:
    """Reads usage only from a chunk without choices."""
    if not chunk.get("choices"):
        Chat.usage(self, answer, chunk)


@wrong(Chat, "usage", "Recorded providers: usage may be sent while it grows, and the last one counts (Perplexity)")
def keeps_the_first_usage(self: Chat, answer: Answer, chunk: JSON) -> None:
    """Keeps the first usage."""
    answer.usage = answer.usage or chunk.get("usage")


@wrong(Chat, "counts", "Recorded providers: the total may have more than its two parts (xAI's reasoning)")
def computes_the_total(self: Chat, usage: JSON | None) -> JSON | None:
    """Computes the total of the tokens."""
    counts = Chat.counts(self, usage)
    return counts and {**counts, "total_tokens": counts["prompt_tokens"] + counts["completion_tokens"]}


@wrong(Chat, "usage", "OpenAI's chat reference: usage is null in all chunks but the last")
def forgets_usage(self: Chat, answer: Answer, chunk: JSON) -> None:
    """Lets a later null replace the usage."""
    if "usage" in chunk:
        answer.usage = chunk["usage"]


@wrong(Chat, "usage", "Recorded providers: the details of usage may be null or missing")
def needs_the_details_of_usage(self: Chat, answer: Answer, chunk: JSON) -> None:
    """Reads the cached tokens whenever there are details."""
    Chat.usage(self, answer, chunk)
    if answer.usage and "prompt_tokens_details" in answer.usage:
        answer.usage["prompt_tokens_details"].get("cached_tokens")


@wrong(Chat, "read", "Azure begins with a chunk without choices: meilisearch/meilisearch#6341")
def ends_at_a_chunk_without_choices(self: Chat, events: Iterator[Event], request: JSON) -> Result:
    """Takes a chunk without choices for the end of the stream."""
    answer = Answer(request.get("n") or 1)
    for event in events:
        answer.done = self.is_done(event)
        if answer.done:
            break
        if self.is_chunk(event):
            chunk = self.parsed(event.data)
            self.event(answer, event)
            if isinstance(chunk, dict) and not chunk.get("choices"):
                break
    self.check(answer)
    return self.result(answer)


@wrong(Chat, "chunk", "Servers leave `choices` out beside the usage: langchain-ai/langchain#27886")
def needs_the_key_choices(self: Chat, answer: Answer, chunk: Any) -> None:
    """Fails on a chunk without the key `choices`."""
    if isinstance(chunk, dict) and "error" not in chunk and chunk.get("object") != "error":
        chunk["choices"]
    Chat.chunk(self, answer, chunk)


@wrong(Chat, "delta", "OpenAI's chat reference: `tool_calls` is optional, and may be empty; BerriAI/litellm#2716")
def ignores_content_beside_the_key_of_calls(self: Chat, state: Choice, delta: JSON) -> None:
    """Reads only the calls of a delta that has the key `tool_calls`."""
    if "tool_calls" in delta:
        self.calls(state, delta)
    else:
        Chat.delta(self, state, delta)


@wrong(Chat, "finish", "Providers repeat the finish reason: QwenLM/qwen-code#2402 lost the calls that it had")
def hands_over_calls_at_each_finish(self: Chat, state: Choice, choice: JSON) -> None:
    """Returns the calls since the finish reason before the last."""
    if state.finish and choice.get("finish_reason"):
        state.calls.clear()
    Chat.finish(self, state, choice)
