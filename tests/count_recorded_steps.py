"""Counts in recordings which steps the streams of each API take, and which providers sent them.

`python -m tests.count_recorded_steps` writes `fakellm.fuzzing.recorded.table.py`; it needs the recordings.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from fakellm.apis.route import CHAT, HOMES, Route
from fakellm.apis.variation import PLAIN, Variation
from fakellm.base import tokenizer
from fakellm.base.seed import Source
from fakellm.engine.complete import complete
from fakellm.fuzzing import tiers
from fakellm.fuzzing.draws.families import ALL_FAMILIES, options
from fakellm.fuzzing.draws.steps import excludes, usual
from fakellm.fuzzing.draws.variations import combined
from fakellm.fuzzing.endpoints import example_request, fuzzed_api, has_effect, name_of, settings_of
from fakellm.importing.importer import imported
from fakellm.model.blocks import Completion
from fakellm.model.deltas import Batch, Delta, Piece, Silence
from fakellm.recordings.cassette import Cassette
from fakellm.recordings.formats import read_file
from fakellm.recordings.redaction import redacted
from fakellm.scenarios.scenario import Rule
from fakellm.streaming.divide import divide
from fakellm.streaming.division import PARTS, part_of
from fakellm.streaming.play import play
from tests.conftest import CORPUS, ROOT, SURFACES

TABLE = ROOT / "fakellm" / "fuzzing" / "recorded" / "table.py"
_KEPT = ("wire", "body")
"""Recordings that keep what was sent, byte for byte; of other recorders, the JSON is their own."""
_PROVIDERS = 5
"""How many providers are named for a step."""
_MOST = 4
"""How many steps of its division are looked for in one stream."""
_FORMS = 9
"""How many forms of each step are tried."""


class Place(NamedTuple):
    """A recorded stream: its file, its place in the file, and who sent it."""

    file: Path
    number: int
    provider: str


def recorded(api: str) -> Iterator[Place]:
    """The recorded streams of an API."""
    for root in (CORPUS, SURFACES):
        index = root / "index.json"
        for entry in json.loads(index.read_bytes())["entries"] if index.exists() else ():
            for each in () if entry.get("edited") else entry["exchanges"]:
                kept = each.get("fidelity", entry["fidelity"]) in _KEPT
                if each["api"] == api and each["stream"] and each.get("status", 200) == 200 and kept:
                    yield Place(root / entry["file"], each["i"], each["provider"] or "unknown")


def names_of(place: Place, api: Route) -> set[str] | None:
    """The names of the steps that a recorded stream takes, without those that its answer has nothing for, such as how
    calls are sent; None if it cannot be read."""
    one = redacted(read_file(place.file).interactions[place.number])
    scenario, (report,) = imported([Cassette(place.file.name, (one,))])
    if not scenario.rules or report.outcome == "literal":
        return None
    (rule,) = scenario.rules
    plain = PLAIN if api is CHAT else usual(None, api)
    wire = replace(rule.stream, score=None).over(usual(rule.dialect, api))
    names = {step.name for step in tiers.steps(wire, plain, name_of(api))}
    if rule.stream.score is not None:
        names |= set(_divided(rule, plain, api))
    else:
        names |= set(_whole(rule, wire))
    named = {re.sub(r"^split\.(.*\.)?(\w+): ", r"split.\2: ", name) for name in names}
    families = options(_completion(rule, api))
    return {name for name in named if _family(name) in (None, *families)}


def _whole(rule: Rule, wire: Variation) -> Iterator[str]:
    """The texts that could be cut, and are not: that is no step from the plain wire, but one from most others."""
    for choice in rule.reply.choices or (rule.reply,):
        texts = {part: getattr(choice, part) for part in ("content", "reasoning", "refusal")}
        texts |= {"arguments": max((_text(call.arguments) for call in choice.tool_calls), key=len, default="")}
        for part, text in texts.items():
            if len(tokenizer.split(text)) > 1 and tiers.usual_cut(part, wire.split) == "whole":
                yield f"split.{part}: whole"


def _text(arguments: object) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _family(name: str) -> str | None:
    """The family of steps that has this one, if any draws it."""
    return max((each for each in ALL_FAMILIES if excludes((each,), name)), key=len, default=None)


def _completion(rule: Rule, api: Route) -> Completion:
    habits = settings_of(api, rule.stream, rule.dialect).habits
    return complete(rule.reply, example_request(api), 0, api.provider(habits))


def _divided(rule: Rule, plain: Variation, api: Route) -> Iterator[str]:
    """The steps of a stream whose batches are known one by one: how its texts are cut, and those with which its dialect
    would send its deltas in this order."""
    assert rule.stream.score is not None
    completion = _completion(rule, api)
    batches = play(completion, rule.stream.score)
    cuts = dict(_cuts(batches, completion))
    for part, ways in cuts.items():
        yield from (f"split.{part}: {way}" for way in ways)
    for step in _found(rule, batches, completion, cuts, api):
        yield from (each.name for each in tiers.steps(step, plain, name_of(api)))


def _cuts(batches: Iterable[Batch], completion: Completion) -> Iterator[tuple[str, set[str]]]:
    """How the texts of each part were cut."""
    pieces: dict[tuple[str, int, int, str], list[str]] = defaultdict(list)
    for delta in (delta for batch in batches for delta in batch):
        if isinstance(delta, Piece) and isinstance(delta.value, str) and delta.value and delta.at != "signature":
            part = part_of(completion.choices[delta.choice].blocks[delta.block])
            pieces[part, delta.choice, delta.block, delta.at].append(delta.value)
    for part, texts in groupby(sorted(pieces.items()), lambda each: each[0][0]):
        if part in PARTS:
            yield "arguments" if part == "tool_calls" else part, {_way(each) for _, each in texts}


def _way(pieces: list[str]) -> str:
    if len(pieces) == 1:
        return "whole"  # a single token too: it cannot be cut otherwise
    return "tokens" if pieces == tokenizer.split("".join(pieces)) else "offsets"


def _found(
    rule: Rule, batches: Sequence[Batch], completion: Completion, cuts: dict[str, set[str]], api: Route
) -> list[Variation]:
    """The steps that, one after the other, make the order of the deltas most like the recorded one."""
    settings = settings_of(api, replace(rule.stream, score=None), rule.dialect)
    split: dict[str, Any] = {part: "whole" if ways == {"whole"} else 2 for part, ways in cuts.items()}
    spelled, recorded = replace(rule.stream, score=None), _order(batches)

    def likeness(steps: Sequence[Variation]) -> float:
        division = settings_of(api, combined([*steps, spelled]), rule.dialect).division
        made = divide(completion, replace(division, split=split), api.grammar(settings.habits), Source(0))
        return SequenceMatcher(None, _order(made), recorded, autojunk=False).ratio()

    families = [forms for family, forms in options(completion).items() if not family.startswith(_NOT_ORDER)]
    forms = [form for each in families for form in islice(each, _FORMS) if has_effect(api, form)]
    steps: list[Variation] = []
    best = likeness(steps)
    while best < 1 and len(steps) < _MOST:
        more, number = max((likeness([*steps, form]), -number) for number, form in enumerate(forms))
        if more <= best:
            break
        best, steps = more, [*steps, forms[-number]]
    return steps


_NOT_ORDER = ("split", "transfer", "sse", "spelling", "fill")
"""Steps that do not move a delta."""


def _order(batches: Iterable[Batch]) -> list[str]:
    """The batches without their content, those in a row that are alike as one."""
    return [batch for batch, _ in groupby("+".join(map(_named, batch)) for batch in batches)]


def _named(delta: Delta) -> str:
    kind = type(delta).__name__
    if isinstance(delta, Silence):
        return kind
    return f"{kind} {getattr(delta, 'choice', '')} {getattr(delta, 'block', '')} {getattr(delta, 'at', '')}"


def counted(api: str) -> tuple[int, dict[str, Counter[str]]]:
    """How many recorded streams of an API can be read, and for each step how many streams of each provider have it."""
    total, steps = 0, defaultdict[str, Counter[str]](Counter)
    for place in recorded(api):
        names = names_of(place, fuzzed_api(api))
        total += names is not None
        for name in names or ():
            steps[name][place.provider] += 1
    return total, steps


def _lines(api: str) -> Iterator[str]:
    total, steps = counted(api)
    if not steps:
        yield f'    "{api}": ({total}, {{}}),'
        return
    yield f'    "{api}": ('
    yield f"        {total},"
    yield "        {"
    for name, providers in sorted(steps.items(), key=lambda each: (-each[1].total(), each[0])):
        most = " ".join(provider for provider, _ in providers.most_common(_PROVIDERS))
        yield f'            "{name}": ({providers.total()}, "{most}"),'
    yield "        },"
    yield "    ),"


_HEAD = '''"""Which steps recorded streams take, and which providers sent them. Written by `python -m tests.count_recorded_steps`.

A provider is a host, a gateway or a server for local models.
"""

from __future__ import annotations

RECORDED: dict[str, tuple[int, dict[str, tuple[int, str]]]] = {
'''
_TAIL = '''}
"""By API: how many streams were read; and by step, in how many of them it is, and the providers that sent most."""
'''

if __name__ == "__main__":
    TABLE.write_text(_HEAD + "".join(f"{line}\n" for api in HOMES for line in _lines(api)) + _TAIL, encoding="utf-8")
