"""What Anthropic refuses beyond types: conversations whose calls and results do not fit, and parameters that exclude
each other. The wording is Anthropic's, as its clients report it.

https://platform.claude.com/docs/en/build-with-claude/working-with-messages
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fakellm.apis.messages.requests.checks import invalid
from fakellm.base.errors import RequestError
from fakellm.base.validation import SHOWN

_DOCS = "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"


NO_THREADS = "thread_unsupported_request"
"""The code with which Anthropic refuses to keep a conversation. Its SDKs then send all of it with each request."""


def refused(message: str, param: str | None = None) -> RequestError:
    """A refusal that names no place."""
    return RequestError(400, message, None, param)


def check(body: dict[str, Any]) -> None:
    """Raises RequestError for a body, whose types are right, that Anthropic refuses."""
    messages = body["messages"]
    if body.get("thread") is not None:
        problem = "threads are not kept by this server; send the whole conversation without `thread`"
        raise RequestError(400, f"thread: {problem}", NO_THREADS, "thread")
    if not messages:
        raise invalid("messages", "at least one message is required")
    _check_roles(messages)
    _check_contents(messages)
    _check_results(messages)
    _check_tools(body)
    _check_thinking(body)


def blocks_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks of a message; a text is one block."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _check_roles(messages: Sequence[dict[str, Any]]) -> None:
    """Turns of one role in a row count as one turn, so only their names can be wrong, and who begins."""
    for message in messages:
        role = message["role"]
        if role not in ("user", "assistant", "system"):
            allowed = 'Allowed roles are "user" or "assistant"'
            raise invalid("messages", f'Unexpected role "{role[:SHOWN]}". {allowed}')
    if messages[0]["role"] == "system":
        remedy = 'The Messages API accepts a top-level `system` parameter, not "system" as an input message role.'
        raise invalid("messages", f'Unexpected role "system". {remedy}')
    if messages[0]["role"] != "user":
        raise invalid("messages", 'first message must use the "user" role')


def _check_contents(messages: Sequence[dict[str, Any]]) -> None:
    last = len(messages) - 1
    for number, message in enumerate(messages):
        final = number == last and message["role"] == "assistant"
        if not message["content"] and not final:
            problem = "all messages must have non-empty content except for the optional final assistant message"
            raise invalid(f"messages.{number}", problem)
        texts = [block["text"] for block in blocks_of(message) if block["type"] == "text"] if message["content"] else []
        if "" in texts:
            raise invalid("messages", "text content blocks must be non-empty")
        if any(not each.strip() for each in texts) and not final:
            raise invalid("messages", "text content blocks must contain non-whitespace text")
        if final and texts and blocks_of(message)[-1]["type"] == "text" and texts[-1] != texts[-1].rstrip():
            raise invalid("messages", "final assistant content cannot end with trailing whitespace")


def _check_results(messages: Sequence[dict[str, Any]]) -> None:
    """Each call of the client's tool has its result in the next turn, and each result its call in the turn before."""
    calls: dict[str, None] = {}
    known: set[str] = set()
    for first, turn in _turns(messages):
        results: set[str] = set()
        place = (first, 0)
        for number, message in enumerate(turn, first):
            for position, block in enumerate(blocks_of(message)):
                if block["type"] == "tool_result":
                    place = (number, position)
                    if block["tool_use_id"] not in calls:
                        raise _unexpected(place, block["tool_use_id"])
                    if block["tool_use_id"] in results:
                        problem = "each tool_use must have a single result. Found multiple `tool_result` blocks with id"
                        raise invalid(f"messages.{number}.content.{position}", f"{problem}: {block['tool_use_id']}")
                    results.add(block["tool_use_id"])
        if missing := [each for each in calls if each not in results]:
            raise _unanswered(first - 1, missing)
        calls = {}
        for number, message in enumerate(turn, first):
            for position, block in enumerate(blocks_of(message)):
                if block["type"] == "tool_use" and message["role"] == "assistant":
                    if block["id"] in known:
                        raise invalid(f"messages.{number}.content.{position}", "`tool_use` ids must be unique")
                    known.add(block["id"])
                    calls[block["id"]] = None
    if calls:
        raise _unanswered(len(messages) - 1, list(calls))


def _turns(messages: Sequence[dict[str, Any]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The turns of a conversation: messages of one role in a row, with the number of the first. A system's message does
    not end a turn."""
    turn: list[dict[str, Any]] = []
    first = 0
    for number, message in enumerate(messages):
        role = next((each["role"] for each in turn if each["role"] != "system"), message["role"])
        if turn and message["role"] not in (role, "system"):
            yield first, turn
            turn, first = [], number
        turn.append(message)
    yield first, turn


def _unexpected(place: tuple[int, int], name: str) -> RequestError:
    return invalid(
        f"messages.{place[0]}.content.{place[1]}",
        f"unexpected `tool_use_id` found in `tool_result` blocks: {name[:SHOWN]}. Each `tool_result` block must have a "
        "corresponding `tool_use` block in the previous message.",
    )


def _unanswered(number: int, names: Sequence[str]) -> RequestError:
    listed = ", ".join(name[:SHOWN] for name in names[:20])
    return invalid(
        f"messages.{number}",
        f"`tool_use` ids were found without `tool_result` blocks immediately after: {listed}. Each `tool_use` block "
        "must have a corresponding `tool_result` block in the next message.",
    )


def _check_tools(body: dict[str, Any]) -> None:
    names = [tool["name"] for tool in body.get("tools") or () if isinstance(tool.get("name"), str)]
    if len(set(names)) < len(names):
        raise invalid("tools", "Tool names must be unique.")
    choice = body.get("tool_choice")
    if choice and choice["type"] != "none" and not body.get("tools"):
        raise refused("tool_choice may only be specified while providing tools.", "tool_choice")
    if choice and choice["type"] == "tool" and choice["name"] not in names:
        raise refused(f"Tool '{choice['name'][:SHOWN]}' not found in provided tools", "tool_choice")


def _check_thinking(body: dict[str, Any]) -> None:
    thinking = body.get("thinking")
    if not thinking or thinking["type"] == "disabled":
        return
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        raise refused("Thinking may not be enabled when tool_choice forces tool use.", "thinking")
    if body.get("temperature") not in (None, 1):
        raise refused(f"`temperature` may only be set to 1 when thinking is enabled. {_DOCS}", "temperature")
    if body.get("top_k") is not None:
        raise refused(f"`top_k` must be unset when thinking is enabled. {_DOCS}", "top_k")
    if (body.get("top_p") or 1) < 0.95:
        problem = "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled"
        raise refused(f"{problem}. {_DOCS}", "top_p")
    limit = body.get("max_tokens")
    if thinking["type"] == "enabled" and limit is not None and thinking["budget_tokens"] >= limit:
        problem = "`max_tokens` must be greater than `thinking.budget_tokens`"
        raise refused(f"{problem}. {_DOCS}#max-tokens-and-context-window-size", "max_tokens")
