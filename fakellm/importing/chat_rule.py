"""Turns a recorded chat completion into a rule, in the dialect that comes nearest to it. Owns the choice of dialect.

`infer` reads a stream in one dialect; `guess_provider` orders the dialects by likelihood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from fakellm.apis.chat.providers import DIALECTS
from fakellm.apis.chat.requests.accepts import refusal
from fakellm.apis.protocol import Values
from fakellm.apis.variation import PLAIN, Variation
from fakellm.apis.variation_blocks import Spelling
from fakellm.base.errors import StreamError
from fakellm.engine.render import render
from fakellm.importing.guess_provider import body_dialects, dialects
from fakellm.importing.infer import Inferred, infer_roughly, simplest
from fakellm.importing.infer_whole import infer_whole
from fakellm.model.blocks import Completion
from fakellm.model.request import Request
from fakellm.scenarios.reply import Reply, reply_of
from fakellm.scenarios.scenario import Rule
from fakellm.wire.unframing import data_of, framing


def chat_rule(url: str, pieces: Sequence[bytes], request: Request) -> Rule:
    """The rule that sends a recorded stream, of these pieces, or the one piece of a whole body, whichever `request` is
    for. Its reply is empty if the recording cannot be read.

    url: of the recorded request; its host names the provider.
    """
    found = _stream(url, pieces, request) if request.stream else _body(url, pieces[0], request)
    plain = next(_accepting(["openai"], request))
    return found or Rule(reply=Reply(content=""), dialect=None if plain == "openai" else plain)


def _stream(url: str, pieces: Sequence[bytes], request: Request) -> Rule | None:
    """The rule that sends the stream, in the dialect that comes nearest to it; None if it contains no chunk."""
    data = [text for piece in pieces if (text := data_of(piece)) is not None]
    chunks = [text for text in data[: data.index("[DONE]") if "[DONE]" in data else None] if _is_chunk(text)]
    framed = framing(pieces)
    done = _done(pieces)

    def rule_of(found: Inferred, name: str) -> Rule:
        usual = DIALECTS[name].usual.over(PLAIN)
        variation = replace(
            found.variation,
            done=None if done == usual.done else done,
            sse=None if framed == (usual.sse or type(framed)()) else framed,
        )
        stream = _pinned(found, variation, usual, request)
        return Rule(reply=_reply(found.completion, found.drawn), stream=stream, dialect=name)

    best: tuple[float, Inferred, str] | None = None
    for name in _accepting(dialects(url, chunks), request):
        try:
            found = infer_roughly(chunks, DIALECTS[name])
        except StreamError:
            continue
        made = [frame.data for frame in render(replace(rule_of(found, name), name="x"), request, 0).frames]
        equal = sum(one == other for one, other in zip(made, pieces, strict=False)) / max(len(made), len(pieces))
        if best is None or equal > best[0]:
            best = equal, found, name
        if equal == 1.0:
            break
    if best is None:
        return None
    _, found, name = best
    return rule_of(simplest(found, DIALECTS[name]), name)


def _done(pieces: Sequence[bytes]) -> bool | str:
    """Whether `[DONE]` ends the stream; if spaces are around it, the text with them."""
    for piece in reversed(pieces):
        if data_of(piece) == "[DONE]":
            found = re.search(r"data: ?( *\[DONE\] *)", piece.decode("utf-8", "replace"))
            return found[1] if found and found[1] != "[DONE]" else True
    return False


def _accepting(names: Iterable[str], request: Request) -> Iterator[str]:
    """The dialects among `names` that accept the request, since a rule must answer it; if none does, the first of all
    dialects that does (Ollama's accepts every request)."""
    found = False
    for name in names:
        if refusal(request, DIALECTS[name].accepts) is None:
            found = True
            yield name
    if not found:
        yield next(name for name in DIALECTS if refusal(request, DIALECTS[name].accepts) is None)


def _is_chunk(data: str) -> bool:
    try:
        frame = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return False
    return isinstance(frame, dict) and "error" not in frame


def _pinned(found: Inferred, variation: Variation, usual: Variation, request: Request) -> Variation:
    """The variation with `usage` set if it was sent unrequested, and with the empty values that no reply can set."""
    if found.completion.usage is not None and variation.usage is None and not request.wants_usage:
        variation = replace(variation, usage=usual.usage)
    empty = {key: value for key, value in (("id", ""), ("created", 0), ("model", "")) if not found.drawn.get(key)}
    if empty:
        spelling = variation.spelling or Spelling()
        each = {key: value for key, value in (spelling.each or {}).items() if key not in empty}
        variation = replace(
            variation, spelling=replace(spelling, extra=empty | (spelling.extra or {}), each=each or None)
        )
    return variation


def _reply(completion: Completion, drawn: Values) -> Reply:
    """The reply with this completion; drawn values are set if they are not empty."""
    reply = reply_of(completion, drawn)
    return replace(reply, id=reply.id or None, created=reply.created or None, model=reply.model or None)


def _body(url: str, body: bytes, request: Request) -> Rule | None:
    """The rule that sends a whole body, in the dialect that needs the fewest keys for it; None if it is none."""
    found: list[tuple[int, Rule]] = []
    for name in _accepting(body_dialects(url, body), request):
        try:
            inferred = infer_whole(body, DIALECTS[name], request.legacy_functions)
        except (StreamError, RecursionError):
            return None
        rule = Rule(reply=_reply(inferred.completion, inferred.drawn), stream=inferred.variation, dialect=name)
        found.append((len(msgspec.json.encode(inferred.variation)), rule))
        if inferred.variation == Variation():
            break
    return min(found, key=lambda each: each[0])[1]
