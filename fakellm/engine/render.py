"""Renders the plan of a response, as a pure function of rule, request and seed: completion, batches, events, frames.

Everything that a reply does not set is drawn here or by the API, only from the seed and the request's digest. Knows no
API by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from sys import getsizeof
from typing import Any

from msgspec import UNSET, Struct
from msgspec.structs import replace

from fakellm.apis.events import memo_key
from fakellm.apis.protocol import Answer, Failure, Values
from fakellm.apis.route import CHAT, Route
from fakellm.base.seed import DrawnError, NothingDrawn, Source
from fakellm.engine.complete import answered, values_of, with_prompt
from fakellm.engine.memo import FORGETFUL, Memo
from fakellm.engine.stream import duration, stream
from fakellm.faults import CompletionFault, ConnectionFault, EventFault, ResponseFault, Stream, Whole
from fakellm.model.blocks import Completion
from fakellm.model.request import Request
from fakellm.scenarios.scenario import Rule
from fakellm.wire.frame_edits import patched
from fakellm.wire.framing import comment, encode
from fakellm.wire.http.transfer import carry, due
from fakellm.wire.plan import Plan
from fakellm.wire.timing import AT_ONCE


def render(rule: Rule, request: Request, seed: int, route: Route = CHAT, memo: Memo = FORGETFUL) -> Plan:
    """The response to `request` by a rule that has a name and a dialect. `memo`: keeps what its replies share.

    A response that is not streamed is due when the last frame of its stream, usage included, would be: the model
    takes as long.
    """
    streamed = request.stream
    fault = rule.fault_in(streamed)
    whole = not ((streamed and not isinstance(fault, Whole)) or isinstance(fault, Stream))
    memo = memo.of(route, route.shared(request), whole)
    dialect = rule.dialect if rule.dialect in route.dialects else None
    settings = memo.get(
        "settings", lambda: route.settings(rule.stream, dialect, request, seed, not whole), lambda _: 3_000
    )
    habits = settings.habits
    if isinstance(fault, ResponseFault):

        def refuse(failure: Failure) -> tuple[str, bytes]:
            usual = dict(route.headers(seed, request.digest, failure.status, dialect))
            return route.refuse(replace(failure, headers={**usual, **failure.headers}), habits)

        return fault.respond(refuse, route.content_type(habits, True), streamed)
    route.validate(request, habits)

    counted = rule.reply.usage is UNSET
    prompted = counted and (whole or settings.division.usage != "none")

    def completed(prompted: bool) -> Completion:
        completion = answered(rule.reply, request, seed, route.provider(habits))
        if prompted:
            completion = with_prompt(completion, request)
        completion = route.restate(completion, request, counted)
        if isinstance(fault, CompletionFault):
            completion = fault.apply(completion, Source(seed, request.digest, "fault"))
        return route.expressible(completion, habits, whole)

    if memo.fixed and not route.restates and not isinstance(fault, CompletionFault):
        completion = memo.get("completion", lambda: completed(False), _size)
        completion = with_prompt(completion, request) if prompted else completion
    else:
        completion, memo = completed(prompted), memo.varying()
    answer = route.answer(completion, request, habits, seed, values_of(rule.reply))
    transfer = settings.transfer
    if not whole:
        kind = route.content_type(habits, True) if transfer.content_type is UNSET else transfer.content_type
        headers = ((("Content-Type", kind),) if kind is not None else ()) + (("Cache-Control", "no-cache"),)
        sent = {}
        if isinstance(fault, EventFault):  # an error in the stream may repeat them
            own = {name.lower(): value for name, value in rule.reply.headers.items()}
            sent = dict(route.headers(seed, request.digest, 200, dialect)) | own
        frames = stream(answer, settings, route, rule.timing, fault, memo, sent)
        plan = Plan(200, headers, frames, delimited="chunked")
    else:
        delay = duration(answer, settings, route, rule.timing) if rule.timing != AT_ONCE else 0.0
        kind = route.content_type(habits, False)
        alike = memo.fixed and answer.completion is completion and answer.habits is habits
        body = _filled(answer, route, memo) if alike and memo.keeps(rule.reply.extent[0]) else route.whole(answer)
        plan = Plan(200, (("Content-Type", kind),), due(body, delay, rule.timing.step))
    if rule.patch:
        plan = replace(plan, frames=patched(plan.frames, rule.patch))
    plan = carry(_headed(plan, rule.reply.headers), transfer)
    if isinstance(fault, ConnectionFault):
        usual = replace(settings.framing, ends_with="blank_line", bom=False)
        source = Source(seed, request.digest, "fault")
        return fault.apply(plan, source, encode([comment("ping", usual)], usual)[0])
    return plan


def _headed(plan: Plan, headers: Mapping[str, str]) -> Plan:
    """The plan with these headers, which replace those of the same name."""
    if not headers:
        return plan
    ours = {name.lower() for name in headers}
    kept = (header for header in plan.headers if header[0].lower() not in ours)
    return replace(plan, headers=(*kept, *headers.items()))


class _Form(Struct, frozen=True):
    """The bodies of all replies with the same completion, as a format of drawn values: of these names, in this order.
    Without a text, each body must be written by itself."""

    text: bytes = b""
    names: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return 500 + len(self.text)

    def filled(self, drawn: Values) -> bytes:
        return self.text % tuple([str(drawn[name]).encode() for name in self.names])


def _filled(answer: Answer[Any], route: Route, memo: Memo) -> bytes:
    """The body of an answer that differs from others of its rule only in what is drawn and in the prompt's tokens."""
    usage = answer.completion.usage
    key = "whole", memo_key(answer), usage and usage.input
    body = b""

    def make() -> _Form:
        nonlocal body
        body = route.whole(answer)
        return _form(answer, route, body)

    form = memo.get(key, make, lambda form: form.size)
    return body or (form.filled(answer.drawn) if form.text else route.whole(answer))


def _form(answer: Answer[Any], route: Route, body: bytes) -> _Form:
    """The form of a body: each drawn value in it becomes a gap. A second body, with other values, proves that nothing
    else depends on what is drawn. A body for which that fails has no form, and neither has a long one."""
    if len(body) > _LONG:
        return _Form()
    drawn = {name: value for name, value in answer.drawn.items() if value and name != "model"}
    if not {int, str}.issuperset(map(type, drawn.values())):
        return _Form()
    names = {str(value).encode("utf-8", "surrogatepass"): name for name, value in drawn.items()}
    if len(names) < len(drawn):
        return _Form()  # two have the same value here, and others elsewhere
    gap = b"|".join(map(re.escape, names)) or b"(?!)"
    parts = re.split(b"(%b)" % gap, body)
    texts = [text.replace(b"%", b"%%") for text in parts[::2]]
    form = _Form(b"%b".join(texts), tuple(names[value] for value in parts[1::2]))
    others = {**answer.drawn, **{name: _other(value) for name, value in drawn.items()}}
    try:
        alike = form.filled(others) == route.whole(replace(answer, drawn=others, source=NothingDrawn(0)))
    except DrawnError:
        return _Form()
    return form if alike else _Form()


def _other(value: int | str) -> int | str:
    """A value of the same kind and length. It is another one, unless it is a text that is the same backwards."""
    return int(str(value).translate(_OTHER)) if isinstance(value, int) else value[::-1]


_OTHER = str.maketrans("0123456789", "9876543210")
_LONG = 64 * 1024
"""Bytes of a body that takes longer to write twice than is saved for the few requests that it may ever answer."""


def _size(completion: Completion) -> int:
    """Roughly how many bytes of memory a completion takes."""
    return 1_000 + sum(500 + 2 * getsizeof(repr(block)) for choice in completion.choices for block in choice.blocks)
