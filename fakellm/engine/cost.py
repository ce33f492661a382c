"""Estimates how long it takes to render a reply, so that long work runs elsewhere. It renders nothing.

The estimates follow measurements, and are rather too high: they decide only where a reply is rendered.
"""

from __future__ import annotations

from math import inf
from typing import Any

from fakellm.base.budget import BUDGET, exceeded
from fakellm.generate.answer import EFFORTS
from fakellm.model.request import Request
from fakellm.scenarios.scenario import Rule
from fakellm.scenarios.usage import Usage
from fakellm.wire.timing import AT_ONCE

SCHEMA = 0.6
"""Milliseconds for a small JSON Schema, once the library that checks them is loaded."""
_NODE = 0.2
_REFERENCE = 4.0
_CHUNK = 0.004
_CHUNK_ALONE = 0.03
"""If no skeleton serves several chunks."""
_TOKEN = 0.002
_CHARACTER = 0.0001
_LOGPROB = 0.025
_SENTENCE = 14
"""Tokens of a generated sentence."""
_HEAVY = frozenset({"pattern", "patternProperties"})
"""Keywords whose cost cannot be estimated."""
_FEWEST = ("minItems", "minProperties", "minContains")


def schemas(request: Request) -> list[dict[str, Any]]:
    """The JSON Schemas that a generated reply to a request needs."""
    found = [tool.parameters for tool in request.offered if tool.parameters]
    return found if request.output is None else [*found, request.output.schema or {"type": "object"}]


def check(rule: Rule, request: Request) -> None:
    """Raises RequestError if a generated reply is bound to be too long: what multiplies it, `n`, `top_logprobs` and the
    rule's sentences, is known before any of it is made. How long a JSON value is, is not."""
    if not rule.reply.generate:
        return
    short = request.output or request.tools or request.stop  # there may be no text, or only the start of one
    tokens = 0.0 if short else min(_FEWEST_TOKENS * (rule.reply.generate.sentences or 1), request.max_tokens or inf)
    alternatives = 0 if request.top_logprobs is None else 1 + request.top_logprobs
    if request.choices * tokens * (_FEWEST_BYTES * alternatives + 1) > BUDGET.reply_bytes:
        raise exceeded("reply_bytes")


_FEWEST_BYTES = 80
"""Of an alternative among log probabilities."""
_FEWEST_TOKENS = 12
"""Of a sentence, on average."""


def milliseconds(rule: Rule | None, request: Request) -> float:
    """Roughly how long it takes to render a rule's reply to a request, or without a rule, generated text."""
    reply = rule.reply if rule else None
    if reply is None or reply.generate:
        sentences = (reply.generate.sentences if reply and reply.generate else None) or 4
        sentences += 0 if request.effort is None else EFFORTS.get(request.effort, EFFORTS["medium"])
        tokens, choices = float(_SENTENCE * sentences), request.choices
        drawn = choices * (0.05 + tokens * _TOKEN)
        tokens = min(tokens, request.max_tokens or inf)
        found = sum(SCHEMA + _NODE * weight(schema) for schema in schemas(request))
        drawn += found * (choices if request.output else 1)
    else:
        length, placeholders = reply.extent
        if placeholders:
            length += placeholders * sum(map(len, request.texts))
        tokens, choices, drawn = length / 3.0, max(len(reply.choices), 1), length * _CHARACTER
        if rule and rule.stream.split is not None:
            tokens = length
        tokens /= choices
    chunks = tokens + 3 + (_padding(rule) if rule else 0)
    each = _CHUNK_ALONE if rule and rule.stream.spelling and rule.stream.spelling.each else _CHUNK
    divided = request.stream or (rule is not None and rule.timing != AT_ONCE)  # it waits as long as its stream
    stream = choices * chunks * each if divided else 0.0
    logprobs = 0.0 if request.top_logprobs is None else choices * tokens * (1 + request.top_logprobs) * _LOGPROB
    return drawn + stream + logprobs


def weight(schema: Any) -> float:
    """How many parts a value of a JSON Schema has, roughly; infinity if that, or the time for one, has no bound."""
    total, pending = 0.0, [(schema, 1.0)]
    while pending:
        value, times = pending.pop()
        if isinstance(value, dict):
            if _HEAVY & value.keys() or value.get("format") == "regex":
                return inf
            total += times * (1 + (_REFERENCE / _NODE if "$ref" in value else 0))
            fewest = [each for key in _FEWEST if isinstance(each := value.get(key), (int, float))]
            total += times * max(0, *fewest, 0)
            if isinstance(value.get("minLength"), (int, float)):
                total += times * value["minLength"] / 1_000
            pending += [(each, times * max(1, *fewest, 1)) for each in value.values() if isinstance(each, (dict, list))]
        elif isinstance(value, list):
            total += times * len(value) / 10  # the values of an enum
            pending += [(each, times) for each in value if isinstance(each, (dict, list))]
        if total > 10_000:
            return inf
    return total


def _padding(rule: Rule) -> float:
    padding = rule.stream.padding
    if padding == "reasoning":
        return rule.reply.usage.reasoning if isinstance(rule.reply.usage, Usage) else 0
    if isinstance(padding, int):
        return padding
    return sum(each.count * 2 for each in padding) if isinstance(padding, tuple) else 0
