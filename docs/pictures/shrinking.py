"""A counterexample shrinking: the failing rules that the fuzzer went through, from the first to the smallest."""

from __future__ import annotations

import json

from docs.pictures.canvas import WIDTH, Picture, columns, cut
from docs.pictures.rendered import REQUEST
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Padding
from fakellm.engine.response import Response
from fakellm.fuzzing.shrinking.shrink import shrink
from fakellm.fuzzing.tiers import steps
from fakellm.scenarios.loader import dump, load
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from fakellm.server.application import HttpRequest
from fakellm.server.scenario_app import App
from fakellm.wire.framing import Framing, Insert

TITLE = "The fuzzer shrinks a failing rule to the shortest text and the one step that still break the client."
FIRST = Rule(
    reply=Reply(content="It is 3 °C in Oslo, and it will snow until the evening. Take a coat, and do not forget hats."),
    stream=Variation(
        split="words",
        padding=(Padding(count=3, chunk={"choices": [{"index": 0}]}),),
        sse=Framing(line_end="crlf", insert=(Insert(comment="ping", before=(2,)),)),
    ),
)
"""A rule as the fuzzer draws them: a text, and steps of several kinds."""


def client(body: str) -> str:
    """The text that a client reads which expects a delta in every choice, as many do."""
    lines = (line for line in body.splitlines() if line.startswith("data: {"))
    choices = (choice for line in lines for choice in json.loads(line[6:])["choices"])
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def fails(rule: Rule) -> bool:
    """Whether the client does not read the text of this rule."""
    request = HttpRequest("POST", "/v1/chat/completions", json.dumps(REQUEST).encode())
    response, _ = App(load([rule])).handle(request)
    assert isinstance(response, Response)
    try:
        return client(response.plan.body.decode()) != rule.reply.content
    except KeyError:
        return True


def failing() -> list[tuple[int, Rule]]:
    """Each rule that is smaller than the one before and still fails, with the number of rules that were tried."""
    found, tried = [(1, FIRST)], 1

    def counted(rule: Rule) -> bool:
        nonlocal tried
        tried += 1
        if not fails(rule):
            return False
        found.append((tried, rule))
        return True

    shrink(FIRST, counted)
    return found


def draw() -> str:
    """The picture as SVG."""
    found = failing()
    smallest = dump(found[-1][1]).splitlines()
    sizes = [len(dump(rule)) for _, rule in found]
    bottom = 44 + 18 * len(found)
    picture = Picture(TITLE, bottom + 30 + 15 * len(smallest))
    picture.text(14, 24, "try   size of the rule, and its steps", "dim small")
    for row, ((tried, rule), size) in enumerate(zip(found, sizes, strict=True)):
        y = 44 + 18 * row
        picture.text(36, y, str(tried), "small", end=True)
        wide = size / max(sizes) * 150
        picture.box(50, y - 9, wide, 10, "bar")
        names = ", ".join(step.name for step in steps(rule.stream))
        picture.text(58 + wide, y, cut(names, columns(WIDTH - 72 - wide, "small")), "small")
    picture.text(14, bottom + 8, "The smallest rule that still fails:", "dim small")
    for row, line in enumerate(smallest):
        picture.text(14, bottom + 26 + 15 * row, line, "accent small")
    return picture.svg()
