"""Makes a rule send exactly the recorded frames: it renders the rule, and patches the frames that differ.

Knows no recordings: only the frames, the request and the API.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from fakellm.apis.route import Route
from fakellm.apis.variation import Variation
from fakellm.base.errors import RequestError
from fakellm.engine.render import render
from fakellm.faults import EventFault, Fault
from fakellm.importing.long_edits import literal_places, long_edits
from fakellm.importing.replies.broken_reply import Broken
from fakellm.importing.replies.patched_texts import repeated_texts
from fakellm.model.request import Request
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule


class LeftOutError(Exception):
    """An interaction that cannot be imported, with the reason."""


def patched(
    rule_of: Callable[[Sequence[bytes]], Rule], pieces: Sequence[bytes], request: Request, route: Route
) -> Rule:
    """The rule for these pieces, with its patch. No text of a literal piece is in the reply too: if it would be, the
    rule is made of the other pieces alone."""
    read = pieces
    while True:
        rule = rule_of(read)
        made = frames_of(rule, request, route)
        patch = long_edits(made, pieces)
        habits = route.settings(rule.stream, rule.dialect, request, 0, request.stream).habits
        if not any(repeated_texts(made, patch, route, habits, request.stream)):
            return replace(rule, patch=patch)
        odd = literal_places(patch)
        fewer = [piece for number, piece in enumerate(pieces) if number not in odd]
        if not fewer or len(fewer) == len(read):
            break
        read = fewer
    empty = replace(rule, reply=Reply(content=""), stream=Variation())
    return replace(empty, patch=long_edits(frames_of(empty, request, route), pieces))


def accepted(rule: Rule, request: Request, route: Route) -> Rule:
    """The rule, in another dialect of its API if only that one accepts the request."""
    for dialect in (rule.dialect, *route.dialects):
        try:
            changed = replace(rule, dialect=dialect)
            render(changed, request, 0, route)
            return changed
        except RequestError as error:
            refused = error
    raise LeftOutError(f"fakellm refuses the request: {refused.message}")


def broken_as(rule: Rule, broken: Broken, pieces: Sequence[bytes], request: Request, route: Route) -> Rule:
    """The rule with the fault that comes nearest to what was recorded, and a patch for the rest."""

    def with_fault(rule: Rule, fault: Fault) -> Rule:
        if isinstance(fault, EventFault):
            made = frames_of(replace(rule, fault=fault), request, route)
        else:
            made = frames_of(rule, request, route)[: len(pieces)]
            if pieces and len(made) == len(pieces):  # the last one may be cut
                made[-1] = made[-1][: len(pieces[-1])]
        return replace(rule, fault=fault, patch=long_edits(made, pieces))

    found = (with_fault(each, fault) for each in (_ended(rule), rule) for fault in broken.faults)
    return min(found, key=lambda rule: sum(len(edit.frames) + edit.drop for edit in rule.patch))


def _ended(rule: Rule) -> Rule:
    """The rule with the usual end, which it sends if someone removes its fault."""
    reply, stream = rule.reply, rule.stream
    reply = replace(reply, finish_reason=UNSET) if reply.finish_reason is None else reply
    return replace(rule, reply=reply, stream=replace(stream, done=None) if stream.done is False else stream)


def frames_of(rule: Rule, request: Request, route: Route) -> list[bytes]:
    return [frame.data for frame in render(rule, request, 0, route).frames]
