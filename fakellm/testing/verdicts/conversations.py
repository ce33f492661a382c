"""Judges what a client made of earlier replies: what of them is in its next requests, and what is not.

A reply is in a request if one of its tool calls is, by id, or its text as the text of a message of the assistant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fakellm.base.words.count import count
from fakellm.engine.entry import SentCall
from fakellm.model.request import Message, PastCall, Request
from fakellm.testing.verdicts.attempts import ClientRequest
from fakellm.testing.verdicts.finding import ClientFinding

_REASONING = ("deepseek",)
"""The dialects of chat in which the reasoning itself must be sent back."""


def conversation_findings(attempts: Sequence[ClientRequest]) -> Iterator[ClientFinding]:
    """What was wrong with the conversations."""
    replies = _Replies()
    for attempt in attempts:
        if attempt.request is not None:
            before = replies.before(attempt, attempt.request)
            yield from _broken_as_whole(attempt, attempt.request, before)
            yield from _unknown_calls(attempt, attempt.request, before)
            yield from _unanswered(attempt, attempt.request, before)
            yield from _dropped_reasoning(attempt, attempt.request, before)
        replies.add(attempt)


class _Replies:
    """Replies by their texts, and by the ids and names of their calls: to compare each request with all of them would
    take minutes for a full journal."""

    def __init__(self) -> None:
        self._count = 0
        self._by: dict[str, list[tuple[int, ClientRequest]]] = {}

    def add(self, attempt: ClientRequest) -> None:
        reply, self._count = attempt.reply, self._count + 1
        names = {name for call in reply.calls for name in (call.id, call.name) if name}
        for name in names | {reply.text.strip()} - {""}:
            self._by.setdefault(name, []).append((self._count, attempt))

    def before(self, attempt: ClientRequest, request: Request) -> list[ClientRequest]:
        """In order, the replies before a request of which a text, a call or the result of a call may be in it."""
        names = {call.id or call.name for message in request.messages for call in message.calls}
        names |= {message.result_of for message in request.messages if message.result_of}
        names |= {message.text.strip() for message in request.messages if message.role == "assistant"}
        found = {number: each for name in names for number, each in self._by.get(name, ())}
        ordered = [found[number] for number in sorted(found)]
        return [each for each in ordered if each.ended is None or each.is_before(attempt)]


def _broken_as_whole(
    attempt: ClientRequest, request: Request, before: Sequence[ClientRequest]
) -> Iterator[ClientFinding]:
    """Replies that broke off, after which the conversation went on as if they were whole. A message of the assistant at
    the end is different: there the client asks for the rest. So is a reply that the client itself has ended."""
    whole = [each.reply for each in before if each.reply.whole]
    texts = {reply.text.strip() for reply in whole}
    ids = {call.id for reply in whole for call in reply.calls}
    past = [message for message in request.messages[:-1] if message.role == "assistant"]
    for each in before:
        text = each.reply.text.strip()
        calls = {call.id for call in each.reply.calls if call.id} - ids
        continued = text and text not in texts and any(message.text.strip() == text for message in past)
        called = any(call.id in calls for message in past for call in message.calls)
        if each.broken and not each.cancelled and (continued or called):
            what = "a tool call" if called else f"the first {count(len(text), 'character')}"
            message = (
                f"the reply to request {each.number} broke off, and request {attempt.number} goes on with {what} of it"
            )
            yield ClientFinding("broken-as-whole", message, (each.number, attempt.number))


def _unknown_calls(
    attempt: ClientRequest, request: Request, before: Sequence[ClientRequest]
) -> Iterator[ClientFinding]:
    if _is_continued(request.body):
        return
    known = {name for each in before for call in each.reply.calls for name in (call.id, call.name)}
    for message in request.messages:
        known |= {name for call in message.calls for name in (call.id, call.name)}
        if message.role == "tool" and message.result_of and message.result_of not in known:
            text = (
                f"request {attempt.number} has a result for {message.result_of!r}, and there is no such call before it"
            )
            yield ClientFinding("unknown-call", text, (attempt.number,))


def _unanswered(attempt: ClientRequest, request: Request, before: Sequence[ClientRequest]) -> Iterator[ClientFinding]:
    """Calls of replies of which others were answered, or which are in the conversation without a result; and calls that
    the conversation has from elsewhere, without a result."""
    results = {message.result_of for message in request.messages if message.result_of}
    past = {call.id for message in request.messages[:-1] for call in message.calls if call.id}
    for each in _latest(before):
        ids = [call.id for call in each.reply.calls if call.id]
        missing = [id_ for id_ in ids if id_ not in results]
        if missing and (past | results) & set(ids):
            called = ", ".join(f"{call.name} ({call.id})" for call in each.reply.calls if call.id in missing)
            text = (
                f"the reply to request {each.number} called {called}, and request {attempt.number} has no result for it"
            )
            yield ClientFinding("unanswered-call", text, (each.number, attempt.number))
    of_replies = {call.id for each in before for call in each.reply.calls}
    others = [
        f"{call.name} ({call.id})"
        for message in request.messages[:-1]
        for call in message.calls
        if call.id and call.id not in results | of_replies
    ]
    if others and not _is_continued(request.body):
        text = f"request {attempt.number} has the call {', '.join(others)} in its conversation, and no result for it"
        yield ClientFinding("unanswered-call", text, (attempt.number,))


def _dropped_reasoning(
    attempt: ClientRequest, request: Request, before: Sequence[ClientRequest]
) -> Iterator[ClientFinding]:
    turn = _since_the_user(request.messages)
    ids = {call.id for message in turn for call in message.calls if call.id}
    ids |= {message.result_of for message in turn if message.result_of}
    body, texts = request.body, set(_texts(request.body))
    for each in _latest(before):
        calls = [call for call in each.reply.calls if call.id in ids or (not call.id and _is_in(call, turn))]
        if not calls or not each.reply.whole or each.entry.api != attempt.entry.api:
            continue
        lost = _lost(each, calls, body, texts)
        if lost:
            text = f"request {attempt.number} answers the calls of the reply to request {each.number} without {lost}"
            yield ClientFinding("dropped-reasoning", text, (each.number, attempt.number))


def _lost(answered: ClientRequest, calls: Sequence[SentCall], body: dict[str, Any], texts: set[str]) -> str:
    """What of a reply must be sent back with the results of its calls, and was not."""
    reply, api = answered.reply, answered.entry.api
    if any(call.signature and call.signature not in texts for call in calls):
        return "the signature of a call"
    if api == "messages" and _thinks(body) and not texts.issuperset(reply.signatures):
        return "its thinking and the signature of that"
    if api == "responses" and reply.reasoned and not _has_reasoning(body):
        return "its reasoning item"
    if answered.entry.dialect in _REASONING and reply.reasoning and reply.reasoning not in texts:
        return "its reasoning_content"
    return ""


def _thinks(body: dict[str, Any]) -> bool:
    """Whether thinking is enabled in a request to Anthropic's API: only then must it be sent back."""
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") != "disabled"


def _has_reasoning(body: dict[str, Any]) -> bool:
    """Whether a request has reasoning items, or the server has them."""
    items = body.get("input")
    kinds = {item.get("type") for item in items if isinstance(item, dict)} if isinstance(items, list) else set()
    return _is_continued(body) or bool(kinds & {"reasoning", "item_reference"})


def _is_continued(body: dict[str, Any]) -> bool:
    """Whether the server has the conversation before a request."""
    return bool(body.get("previous_response_id") or body.get("conversation"))


def _latest(before: Sequence[ClientRequest]) -> list[ClientRequest]:
    """The replies with calls; of equal ones, such as retries of a request, only the last."""
    found = {tuple(call.id or call.name for call in each.reply.calls): each for each in before if each.reply.calls}
    return list(found.values())


def _since_the_user(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages after the user's last one: those of the turn that is under way."""
    last = max((number for number, message in enumerate(messages) if message.role == "user"), default=-1)
    return messages[last + 1 :]


def _is_in(call: SentCall, messages: Iterable[Message]) -> bool:
    past: Iterable[PastCall] = (each for message in messages for each in message.calls)
    return any(each.name == call.name and not each.id for each in past)


def _texts(value: Any) -> Iterator[str]:
    """All texts in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
