"""Prints the matrix as text, Markdown or HTML. Owns the wording of cells and captions; knows no client."""

from __future__ import annotations

from html import escape

from fakellm.fuzzing.known_bugs import BUGS
from fakellm.fuzzing.matrix import Row
from fakellm.fuzzing.trial import JudgedCase
from fakellm.server.page.files import colours


def mark(case: JudgedCase | None) -> str:
    """The text of a cell: `ok`, `ok (raises)` or `ok (flags)`, or what failed; of an error, the class. A client that
    cannot have seen a cut did not read it correctly, so `ok` is then `not visible` or, if unknown, `unconfirmed`."""
    if case is None:
        return ""
    failed = case.verdict.field.rpartition(".")[2] or case.verdict.outcome
    held = case.cuts if case.cuts in ("not visible", "unconfirmed") else "ok"
    right = {"held": held, "raised": "ok (raises)", "flagged": "ok (flags)"}
    return right.get(case.verdict.outcome, f"FAILS: {failed}")


def caption(rows: list[Row]) -> str:
    """How many steps there are, and how many of them hold for all clients."""
    return f"Of {len(rows)} steps, faults and dialects, {sum(row.holds for row in rows)} hold for all."


def as_text(rows: list[Row], clients: list[str], above: str) -> str:
    """Columns, under a caption."""
    return f"{above}\n\n{_columns(_table(rows, clients))}"


def as_markdown(rows: list[Row], clients: list[str], above: str) -> str:
    """A Markdown table, under a caption."""
    head, *body = _table(rows, clients)
    steps = [[f"`{name}`", *cells] for name, *cells in body]
    lines = [
        [_escaped(cell) for cell in head],
        ["---"] * len(head),
        *([_escaped(cell) for cell in line] for line in steps),
    ]
    return f"{above}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def as_html(rows: list[Row], clients: list[str], above: str) -> str:
    """A complete page; hovering over a failing cell shows the expected and the actual value."""
    head = "".join(f"<th>{escape(name)}</th>" for name in ("step", "tier", "row", *clients))
    body = "\n".join(
        f"<tr><td><code>{escape(row.name)}</code></td><td>{row.tier}</td><td>{_linked(row.rows)}</td>"
        + "".join(_cell(row.cells.get(client)) for client in clients)
        + "</tr>"
        for row in rows
    )
    return _PAGE.format(above=escape(above), head=head, body=body, colours=colours())


def _linked(rows: str) -> str:
    """The rows of the bug list, each with its description and a link to the first thread about it."""
    return " ".join(
        f'<a title="{escape(BUGS[row].what)}" href="{(*BUGS[row].links, "#")[0]}">{row}</a>' for row in rows.split()
    )


def _cell(case: JudgedCase | None) -> str:
    kind = "" if case is None else "fails" if case.verdict.failed else _class(case)
    hint = ""
    if case is not None and case.verdict.failed:
        hint = f"expected {case.verdict.expected!r}, got {case.verdict.actual!r}"[:500]
    title = f' title="{escape(hint)}"' if hint else ""
    return f'<td class="{kind}"{title}>{escape(mark(case))}</td>'


def _class(case: JudgedCase) -> str:
    """The class of a cell of a client that did not fail."""
    return "unseen" if mark(case) in ("not visible", "unconfirmed") else case.verdict.outcome


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
{colours}
body {{ margin: 1.5rem; background: var(--paper); color: var(--text); }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid var(--line); padding: 2px 8px; text-align: left; }}
th {{ position: sticky; top: 0; background: var(--soft); }}
a {{ color: var(--accent); }}
p {{ max-width: 50em; }}
.held {{ background: var(--good-soft); }}
.raised, .flagged {{ background: var(--open-soft); }}
.unseen {{ background: var(--soft); }}
.fails {{ background: var(--bad-soft); color: var(--bad); }}
</style>
</head>
<body>
<p>{above}</p>
<p>T0 bytes, T1 server-sent events, T2 JSON, T3 deltas as OpenAI's schema allows, T4 habits of providers, T5 contested,
fault: broken on purpose. <span class="held">ok</span>: the client returned all that was sent;
<span class="raised">ok (raises)</span> or <span class="raised">ok (flags)</span>: it rightly raised an error, or
returned an answer that shows it is incomplete;
<span class="unseen">not visible</span>: it cannot have seen where the body was cut, because several pieces
arrived in one read; <span class="unseen">unconfirmed</span>: nothing shows whether it saw that;
<span class="fails">FAILS</span> and where: hover over a cell to see
what was expected and what the client returned.</p>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</body>
</html>
"""
