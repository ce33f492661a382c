"""Checks parts of a rule together that are valid each by itself. Knows neither rules nor scenarios."""

from __future__ import annotations

from fakellm.apis.route import DIALECT_NAMES
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import MOST_CHUNKS
from fakellm.base.validation import FieldError
from fakellm.base.words.near_miss import near_miss
from fakellm.faults import Fault
from fakellm.scenarios.reply import Computed, Reply
from fakellm.scenarios.reply_blocks import check_block, check_own
from fakellm.scenarios.usage import Usage
from fakellm.streaming.score import Closes, Counts, Finishes, Opens, Score


def check_padding(reply: Reply, stream: Variation) -> None:
    """Raises FieldError if the reasoning tokens, each of which is a chunk without content, are too many."""
    if stream.padding == "reasoning" and isinstance(reply.usage, Usage) and reply.usage.reasoning > MOST_CHUNKS:
        message = f"with 'padding: reasoning' each is a chunk, and at most {MOST_CHUNKS:,} are allowed"
        raise FieldError(("reply", "usage", "reasoning"), f"{message}, got {reply.usage.reasoning:,}")


def check_score(score: Score) -> None:
    """Raises FieldError if what a recorded stream opened or finished with is for an API that does not exist."""
    for number, run in enumerate(score.runs):
        for place, part in enumerate(run.parts):
            path = ("stream", "score", "runs", number, "parts", place)
            if isinstance(part, (Opens, Closes)) and part.value is not None:
                check_block(part.value, (*path, "value"))
            elif isinstance(part, Finishes) and part.stop is not None:
                check_own(part.stop.own, (*path, "stop"))
            elif isinstance(part, Counts) and part.usage is not None:
                check_own(part.usage.own, (*path, "usage"))


def check_calls(reply: Reply, fault: Fault | None) -> None:
    """Raises FieldError if a fault in tool calls has too few of them. Replies of functions are checked when made."""
    if fault is None or not fault.calls or isinstance(reply, Computed):  # nearly always, and there may be many rules
        return
    if fault.calls > max(choice.calls for choice in reply.choices or (reply,)):
        calls = "a tool call" if fault.calls == 1 else f"{fault.calls} tool calls in one choice"
        raise FieldError(("fault", "kind"), f"{fault.kind!r} needs a reply with {calls}; add 'tool_calls' to 'reply'")


def check_dialect(name: str | None) -> None:
    """Raises FieldError if there is no dialect of this name."""
    if name is not None and name not in DIALECT_NAMES:
        known = ", ".join(DIALECT_NAMES)
        raise FieldError(("dialect",), f"unknown dialect {name!r}; allowed: {known}{near_miss(name, DIALECT_NAMES)}")


def check_name(key: str, name: object) -> None:
    """Raises FieldError if no header and no file can have a name; its type is checked elsewhere."""
    try:
        if isinstance(name, str):
            name.encode()
    except UnicodeEncodeError:
        raise FieldError((key,), f"{name!r} has half of a surrogate pair; write the whole character") from None
