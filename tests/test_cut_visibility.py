"""A client that passes a cut is only right if it saw the cut; where it cannot have seen it, the fuzzer does not say ok."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fakellm.apis.variation import Variation
from fakellm.cli import main
from fakellm.fuzzing.clients.client_function import FunctionClient
from fakellm.fuzzing.clients.result import NoResult, Result
from fakellm.fuzzing.each_read import fails_on_cuts
from fakellm.fuzzing.matrix import matrix
from fakellm.fuzzing.matrix_formats import as_html, caption, mark
from fakellm.fuzzing.oracle.cuts import cuts_of
from fakellm.fuzzing.report import report, run_report
from fakellm.fuzzing.run import run
from fakellm.fuzzing.search import Search
from fakellm.scenarios.reply import Reply
from fakellm.scenarios.scenario import Rule
from fakellm.wire.http.transfer import Transfer
from fakellm.wire.plan import Frame, Plan
from tests.conftest import ROOT
from tests.wrong_clients import JSON, Careful, DecodesEachRead

CUT = Rule(reply=Reply(content="A 🌍"), stream=Variation(transfer=Transfer(cut=(3, 5), separate_reads=2)))


def plan(sizes: Sequence[int]) -> Plan:
    """A body in pieces of these sizes; no read holds bytes of two."""
    return Plan(200, (), tuple(Frame(b"a" * size, separate=number > 0) for number, size in enumerate(sizes)))


# Laws


@given(st.lists(st.integers(1, 4), min_size=2, max_size=6), st.data())
def test_a_cut_is_visible_if_a_read_ends_there(pieces: list[int], data: st.DataObject) -> None:
    joined = data.draw(st.lists(st.booleans(), min_size=len(pieces) - 1, max_size=len(pieces) - 1))
    reads = [pieces[0]]
    for size, together in zip(pieces[1:], joined, strict=True):
        reads[-1:] = [reads[-1] + size] if together else [reads[-1], size]
    expected = "not visible" if all(joined) else "visible"
    assert cuts_of(CUT, Result(content="", reads=tuple(reads)), [plan(pieces)], None) == expected


# Examples


@pytest.mark.parametrize(
    ("rule", "returned", "each_read", "expected"),
    [
        (CUT, Result(content=""), None, "unconfirmed"),
        (CUT, Result(content=""), True, "visible"),
        (CUT, Result(content=""), False, "not visible"),
        (CUT, Result(content="", reads=(8,)), True, "not visible"),  # what it reports itself decides
        (CUT, NoResult("raised"), True, ""),
        (Rule(reply=Reply()), Result(content=""), True, ""),
    ],
)
def test_without_reads_a_wrong_client_decides(rule: Rule, returned: Any, each_read: bool | None, expected: str) -> None:
    assert cuts_of(rule, returned, [plan([3, 5])], each_read) == expected


class ReportsReads(Careful):
    """Reports the sizes of its reads, as they are or joined."""

    joined = False

    def __call__(self, base_url: str, request: JSON) -> JSON:
        self.sizes: list[int] = []
        result = super().__call__(base_url, request)
        return {**result, "reads": [sum(self.sizes)] if self.joined else self.sizes}

    def reads(self, response: HTTPResponse) -> Iterator[bytes]:
        for data in super().reads(response):
            self.sizes.append(len(data))
            yield data


class JoinsReads(ReportsReads):
    joined = True


@pytest.mark.parametrize(
    ("client", "expected", "line"),
    [
        (ReportsReads, "ok", None),
        (JoinsReads, "not visible", "Cuts of the body: not visible to the client in "),
        (Careful, "unconfirmed", "Cuts of the body: unconfirmed in "),
    ],
)
def test_a_cut_is_ok_only_if_it_was_visible(client: type[Careful], expected: str, line: str | None) -> None:
    search = Search(profile="realistic", examples=40, exclude=tuple(LEFT_OUT))
    rows, _ = matrix({"a": FunctionClient(client())}, search)
    cells = {row.name: mark(row.cells["a"]) for row in rows if row.name.startswith("transfer.cut")}
    assert {cells[f"transfer.cut: {way}"] for way in ("offsets", "inside_characters")} == {expected}
    holding = {row.name: row.holds for row in rows}
    assert holding["transfer.cut: offsets"] == (expected == "ok")
    assert f"{sum(holding.values())} hold for all" in caption(rows)
    assert mark(next(row.cells["a"] for row in rows if row.name.startswith("transfer.header_case"))) == "ok"
    assert (f'<td class="unseen">{expected}</td>' in as_html(rows, ["a"], "")) == (expected != "ok")
    shown = report(run_report(run(FunctionClient(client()), search)), [])
    assert "no failures" in shown
    assert (line or "Compared") in shown
    assert ("Cuts of the body" in shown) == (line is not None)


LEFT_OUT = (
    "sse",
    "spelling",
    "split",
    "fill",
    "padding",
    "role",
    "finish",
    "usage",
    "unfinished",
    "calls",
    "reasoning",
)


def test_a_client_that_decodes_each_read_shows_whether_cuts_are_visible() -> None:
    assert fails_on_cuts(FunctionClient(DecodesEachRead()), Search())
    assert not fails_on_cuts(FunctionClient(Careful()), Search())  # as one that cannot see cuts


def test_the_command_takes_such_a_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    loop = "from fakellm.drivers.loop import run\nfrom tests.wrong_clients import {0}\nrun(lambda *case: {0}()(*case[:2]))\n"
    drivers = {}
    for name in ("Careful", "DecodesEachRead"):
        (tmp_path / f"{name}.py").write_text(loop.format(name))
        drivers[name] = f"{sys.executable} {name}.py"
    words = [f"--exclude={step}" for step in LEFT_OUT]
    for wrong, expected in (("DecodesEachRead", False), ("Careful", True)):
        options = ["--examples=20", "--each-read", drivers[wrong], *words, "--", *shlex.split(drivers["Careful"])]
        done = CliRunner().invoke(main, ["fuzz", *options])
        assert done.exit_code == 0, done.output
        assert ("Cuts of the body: not visible to the client in" in done.output) == expected
