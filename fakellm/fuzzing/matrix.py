"""Every single step on every client: a table of what holds and what fails. Owns the table and the ways to print it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape
from itertools import chain

from msgspec import Struct

from fakellm.fuzzing.clients.client_process import Asked
from fakellm.fuzzing.draws import cases
from fakellm.fuzzing.draws.profiles import profile as profile_of
from fakellm.fuzzing.draws.steps import steps_of
from fakellm.fuzzing.known_bugs import BUGS
from fakellm.fuzzing.search import Search
from fakellm.fuzzing.test_server import Session
from fakellm.fuzzing.tiers import Step
from fakellm.fuzzing.trial import Trial, Tried
from fakellm.scenarios.scenario import Rule


class Row(Struct):
    """A step, or the usual wire of a dialect, and what became of each client: the first case that failed, else the last
    that held."""

    steps: tuple[Step, ...]
    dialect: str
    cells: dict[str, Tried]

    @property
    def name(self) -> str:
        return " + ".join(step.name for step in self.steps) or f"dialect: {self.dialect}"

    @property
    def tier(self) -> str:
        return max((step.tier for step in self.steps), default="")

    @property
    def rows(self) -> str:
        return " ".join(dict.fromkeys(row for step in self.steps for row in step.rows))

    @property
    def fails(self) -> bool:
        return any(tried.verdict.failed for tried in self.cells.values())


def matrix(clients: Mapping[str, Asked], search: Search, tell: Callable[[int], None] = lambda _: None) -> list[Row]:
    """The steps of the search's profile, each alone, on each client by its name; `tell` is told how many are done.

    Raises CannotRunError where a client cannot be tried at all.
    """
    rows: dict[str, Row] = {}
    count = 0
    for name, client in clients.items():
        with Session(search.seed, search.deadline) as session:
            try:
                trial = Trial(client, session)
                for rule in alone(search):
                    row = Row(tuple(steps_of(rule)), rule.dialect or "openai", {})
                    row = rows.setdefault(row.name, row)
                    tried = trial.judge(rule)
                    if name not in row.cells or not row.cells[name].verdict.failed:
                        row.cells[name] = tried
                    count += 1
                    tell(count)
            finally:
                client.close()
    return list(rows.values())


def alone(search: Search) -> Iterator[Rule]:
    """Every step of a profile by itself, in the dialect that it starts from, and the usual wires of the others."""
    what = profile_of(search.profile, search.exclude)
    singles = chain.from_iterable(cases.singles(family, what) for family in what.families)
    return chain(singles, cases.broken(what) if what.faults else (), cases.wires(what))


def mark(tried: Tried | None) -> str:
    """What stands in a cell: `ok`, `ok (raises)` where an error was right, or how it failed; of an error the class."""
    if tried is None:
        return ""
    how = tried.verdict.field.rpartition(".")[2] or tried.verdict.outcome
    return {"held": "ok", "raised": "ok (raises)", "flagged": "ok (flags)"}.get(tried.verdict.outcome, f"FAILS: {how}")


def caption(rows: list[Row]) -> str:
    """How many steps there are, and how many of them hold for all clients."""
    return f"Of {len(rows)} steps, faults and dialects, {sum(not row.fails for row in rows)} hold for all."


def as_text(rows: list[Row], clients: list[str], above: str) -> str:
    """In columns, under a caption."""
    return f"{above}\n\n{_columns(_table(rows, clients))}"


def as_markdown(rows: list[Row], clients: list[str], above: str) -> str:
    """A Markdown table, under a caption."""
    head, *body = _table(rows, clients)
    steps = [[f"`{name}`", *cells] for name, *cells in body]
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in line] for line in steps)]
    return f"{above}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_html(rows: list[Row], clients: list[str], above: str) -> str:
    """A page by itself, with what was expected and got where the pointer rests."""
    head = "".join(f"<th>{escape(name)}</th>" for name in ("step", "tier", "row", *clients))
    body = "\n".join(
        f"<tr><td><code>{escape(row.name)}</code></td><td>{row.tier}</td><td>{_linked(row.rows)}</td>"
        + "".join(_cell(row.cells.get(client)) for client in clients)
        + "</tr>"
        for row in rows
    )
    return _PAGE.format(above=escape(above), head=head, body=body)


def _linked(rows: str) -> str:
    """The rows of the list of client bugs, each saying what it is, and leading to where it was seen."""
    return " ".join(
        f'<a title="{escape(BUGS[row].what)}" href="{(*BUGS[row].links, "#")[0]}">{row}</a>' for row in rows.split()
    )


def _cell(tried: Tried | None) -> str:
    kind = "" if tried is None else "fails" if tried.verdict.failed else tried.verdict.outcome
    hint = ""
    if tried is not None and tried.verdict.failed:
        hint = f"expected {tried.verdict.expected!r}, got {tried.verdict.got!r}"[:500]
    title = f' title="{escape(hint)}"' if hint else ""
    return f'<td class="{kind}"{title}>{escape(mark(tried))}</td>'


def _table(rows: list[Row], clients: list[str]) -> list[list[str]]:
    head = ["step", "tier", "row", *clients]
    return [head, *([row.name, row.tier, row.rows, *(mark(row.cells.get(name)) for name in clients)] for row in rows)]


def _columns(table: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in table
    )


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Clients and steps</title>
<style>
body {{ font: 14px sans-serif; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid #ccc; padding: 2px 8px; text-align: left; }}
th {{ position: sticky; top: 0; background: white; }}
p {{ max-width: 50em; }}
.held {{ background: #d8f5d8; }}
.raised, .flagged {{ background: #eef5c8; }}
.fails {{ background: #f8c8c8; }}
</style>
</head>
<body>
<p>{above}</p>
<p>T0 bytes, T1 server-sent events, T2 JSON, T3 deltas as OpenAI's schema allows, T4 habits of providers, T5 contested,
fault: broken on purpose. <span class="held">ok</span>: all was read as it was said;
<span class="raised">ok (raises)</span> or <span class="raised">ok (flags)</span>: an error was right, or an answer that
is marked as not whole; <span class="fails">FAILS</span> in what: rest on it to see what was expected and got.</p>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</body>
</html>
"""
