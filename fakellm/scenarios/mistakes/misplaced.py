"""States where a key belongs that is in the wrong block of a rule, and what to write for a text in place of a block.

Knows the blocks and their keys, and neither files nor nodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from fakellm.apis.variation import Variation
from fakellm.base.validation import Path
from fakellm.base.words.near_miss import near_miss, other_word
from fakellm.scenarios.matching import When
from fakellm.scenarios.mistakes.text_values import instead_of_text, status_of
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from fakellm.wire.timing import Timing

_BLOCKS: dict[str, type[Struct]] = {"when": When, "reply": Reply, "timing": Timing, "stream": Variation}
_METHODS = ("reply", "script", "stream", "timing", "fault", "then", "after")
"""Blocks of a rule that a method of the same name sets in Python."""

_WHOLE = {
    "reply": "{content: %s}",
    "when": "{user: %s}",
    "timing": "{first: %s}",
    "fault": "{kind: %s}",
    "then": "{reply: {content: %s}}",
    "script": "{reply: {content: %s}}",
    "tool_calls": "{name: %s}",
}
"""What is meant by a plain value in place of a block, or of an item in a list."""


_BY_NAME = {
    "result": "write {add: %s}, by the name of the tool",
    "headers": "write {x-run: %s}, by the name of the header",
    "body": "write {'messages[-1].content': %s}, by the path of the value",
}
"""What is meant by a text in place of the values of a condition."""


_OF_MESSAGES = (
    "'user' is the text of the user's last message, 'message' that of any one, "
    "and 'body' has every value by its path, such as messages[-1].content"
)
_NOT_CONDITIONS = ("messages", "assistant")
"""What users take for conditions."""


_CODINGS = {"br": "br", "brotli": "br", "deflate": "deflate", "zstandard": "zstd", "zstd": "zstd"}
"""Codings that are values of `encoding`, though one, `gzip`, is a key."""

_DEVIATIONS = ("deviation", "stddev", "std", "sigma")


def place_of_key(path: Path) -> str:
    """What follows the message about an unknown key, the last step of the path: where it belongs. Empty if nowhere."""
    *above, key = path
    if not isinstance(key, str):
        return ""
    block = above[-1] if above else None
    if block is None:
        return f"; {key!r} is a key of a rule: each rule is an item of 'rules'" if key in _rule_keys() else ""
    if block == "transfer" and key.lower() in _CODINGS:
        return f"; write encoding: {_CODINGS[key.lower()]}"
    if key in ("contains", "substring") and above[:1] == ["rules"] and "when" in above:
        return "; a plain text in its place must be contained"
    if above[-2:-1] == ["tool_calls"] and key in ("type", "function"):
        return "; write a call as {name: add, arguments: {a: 1}}, without 'type' and 'function'"
    if isinstance(block, str) and block in _rule_keys():
        if key in _rule_keys():
            return f"; {key!r} is a key of the rule, beside {block!r}"
    elif not isinstance(block, int) or above[-2:-1] not in (["rules"], ["then"], ["script"]):
        return ""
    if block == "when" and key in _NOT_CONDITIONS:
        return f"; {_OF_MESSAGES}"
    owner, word = _owner(key, block)
    if owner is None and block == "when" and not near_miss(key, When.__struct_fields__):
        return f"; any other value of the request is one of its body: body: {{{key}: …}}"
    if owner is None:
        return ""
    if word != key:
        return f"; did you mean {word!r}, a key of {owner!r}? write {owner}: {{{word}: …}}"
    return f"; {key!r} is a key of {owner!r}: write {owner}: {{{key}: …}}"


def kind_of_wait(path: Path, block: Any) -> str:
    """What follows the message that a distribution of waits has no `kind`, the last step of the path: one with its
    numbers. Empty for any other block."""
    if path[-3:-1] not in (("timing", "first"), ("timing", "gap")) or not isinstance(block, dict):
        return ""
    mean, deviation = block.get("mean"), next((block[key] for key in _DEVIATIONS if key in block), None)
    if not isinstance(mean, (int, float)) or not isinstance(deviation, (int, float)):
        mean, deviation = 0.3, 0.1
    return f"; write {{kind: lognormal, mean: {mean:g}, deviation: {deviation:g}}}"


def status_of_kind(path: Path, value: Any) -> str:
    """What follows the message about an unknown kind of a fault that is a status by its name. Empty for any other."""
    status = status_of(value) if path[-2:] == ("fault", "kind") and isinstance(value, str) else None
    return f"; write {{kind: status, status: {status}}}" if status else ""


def call_of_condition(key: str) -> str:
    """What follows the message about an unknown condition: those that read messages. Empty for any other."""
    return f"; {_OF_MESSAGES}" if key in (*_NOT_CONDITIONS, "content") else ""


def call_of_keyword(key: str, allowed: Sequence[str]) -> str:
    """What follows the message about an unknown keyword of a method of the builder: which call takes it."""
    if other_word(key, allowed):
        return ""
    if key == "status":
        return "; to fail with a status, write .fail(429)"
    if key in _METHODS:
        return f"; it has a method of its own: .{key}(…)"
    owner, word = ("when", key) if key in ("name", "dialect") else _owner(key, None)
    if owner is None:
        return ""
    call = f"{'on' if owner == 'when' else f'.{owner}'}({word}=…)"
    return f"; it belongs into {call}" if word == key else f"; did you mean {call}?"


def block_for_value(path: Path, value: Any, message: str) -> str:
    """What follows the message about a value of the wrong type: what to write in its place. Empty for anything unusual.

    `message`: such as `expected object, got string`.
    """
    expected = message.partition(", got")[0]
    if not path:
        return "; write 'rules:' in a line above the list" if isinstance(value, list) else ""
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    if "array" in expected and isinstance(value, dict):
        return "; start each item of the list with '- '"
    if key == "fault" and isinstance(value, list):
        return "; a reply has one fault: put each further one into 'then' or 'script', with its reply"
    if "string" in expected and "array" not in expected and isinstance(value, (dict, list)):
        return _instead_of_data(value, path, "object" in expected)
    if value is None or isinstance(value, (dict, list)):
        return ""
    if "array" in expected:
        return f"; write [{_flow(value)}]" if isinstance(value, str) else ""
    if isinstance(value, str) and (written := instead_of_text(value, path, message)):
        return written
    if "object" in expected and path[-1] in _BY_NAME:
        return f"; {_BY_NAME[path[-1]] % _flow(value)}"
    if "object" not in expected or key not in _WHOLE:
        return ""
    if key == "fault" and type(value) is int:
        return f"; write {{kind: status, status: {value}}}"
    written = str(value) if key == "timing" else _flow(value)
    return f"; write {_WHOLE[key] % written}"


def _instead_of_data(value: Any, path: Path, pattern: bool) -> str:
    """What to write for data in place of a text; `pattern`: an object with a regular expression would do."""
    if path[-1:] == ("content",) or path[-1:] == ("reasoning",):
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):  # a date, say
            return "; put the JSON in quotes"
        quoted = text.replace("'", "''")
        return f"; put the JSON in quotes: '{quoted}'" if len(text) <= _SHORT else "; put the JSON in quotes"
    if pattern and isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        either = "|".join(map(re.escape, value))
        return f"; write one rule each, or {{regex: {json.dumps(either, ensure_ascii=False)}}}"
    return ""


_SHORT = 60
"""Characters of a text that a remedy repeats."""


def _rule_keys() -> tuple[str, ...]:
    return Rule.__struct_fields__


def _owner(key: str, block: object) -> tuple[str | None, str]:
    """The block that has this key, or one that is meant by it elsewhere, besides this block; and the key there."""
    own = _BLOCKS.get(block) if isinstance(block, str) else None
    if other_word(key, own.__struct_fields__ if own else _rule_keys()):
        return None, key
    others = {name: kind.__struct_fields__ for name, kind in _BLOCKS.items() if name != block}
    exact = ((name, key) for name, fields in others.items() if key in fields)
    meant = ((name, word) for name, fields in others.items() if (word := other_word(key, fields)))
    return next(exact, None) or next(meant, (None, key))


def _flow(value: Any) -> str:
    """A text as YAML has it within brackets; a number, where a text is meant, in quotes."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w .*/-]*", value):
        return value
    return json.dumps(str(value), ensure_ascii=False)
