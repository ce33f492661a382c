"""The pytest plugin: one server per test process, a new session for each test.

Owns the two fixtures and the failures at the end of a test. Every pytest run in an environment with this package
imports this file, so it imports nothing slow until a fixture is used.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, nullcontext, suppress
from functools import cache
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING

import pytest

from fakellm.testing import verdict_report

if TYPE_CHECKING:
    from fakellm.testing.handle import Handle

with suppress(ImportError):  # a run without these fixtures does not need the server
    import_module("fakellm.base")  # from here on, missing names are explained if the package is damaged


_RECORDING = "fakellm_recording"

_SETTINGS = {
    "scenario": "the scenario of each test, relative to this file",
    "seed": "the source of everything that is not scripted (default: 0)",
    "strict": "refuse requests that no rule matches, once there are rules (default: true)",
    "speed": "divide every delay by this; 0 removes them (default: 1)",
    "dialect": "the dialect of rules that set none",
    "host": "the address to listen on (default: 127.0.0.1)",
    "env": "point the environment variables of SDKs to the session of the test (default: true)",
    "allow_unmatched": "do not fail tests for requests that no rule answers (default: false)",
}
"""The options of the configuration file, each with the prefix `fakellm_`."""


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"must be a whole number from 0, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < inf:
        raise ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fakellm")
    group.addoption(
        "--fakellm-vary",
        type=_count,
        default=0,
        metavar="N",
        help="run each test that uses the fixture `fakellm` N more times, with its replies sent in other ways that "
        "mean the same, and report the smallest difference that fails it",
    )
    group.addoption(
        "--fakellm-faults",
        type=_count,
        default=0,
        metavar="N",
        help="run each such test N more times, each with one reply broken in another way, and report those that do "
        "not end, or pass although no whole reply was sent afterwards",
    )
    group.addoption(
        "--fakellm-patience",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long a test with a broken reply may take (default: 10)",
    )
    for name, text in _SETTINGS.items():
        parser.addini(f"fakellm_{name}", f"fixture `fakellm`: {text}", default="")
    group.addoption(
        "--fakellm-report",
        type=verdict_report.checked_file,
        nargs="?",
        const=verdict_report.TERMINAL,
        metavar="FILE",
        help="judge what the client of each test with the fixture `fakellm` did by what the providers ask, and print "
        "the findings, or write them into a file that ends in .md or .json",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "fakellm(scenario=None, *, seed, strict, speed, dialect, host, env, allow_unmatched): settings of the fixture "
        "`fakellm` for this test; all can be set as fakellm_… in the configuration file too",
    )
    config.addinivalue_line(
        "markers",
        f"{_RECORDING}(upstream=None, file=None): the fixture `fakellm` answers from a recording; if there is none, it "
        "is made from the API at the base URL `upstream`",
    )
    if isinstance(file := config.option.fakellm_report, str):
        try:
            verdict_report.create(file)
        except OSError as error:
            raise pytest.UsageError(f"--fakellm-report: cannot write {file}: {error.strerror}") from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes whether a test with the fixture has failed, and says in its report if the fixture got no request."""
    report = yield
    if call.when == "call" and "fakellm" in getattr(item, "fixturenames", ()):
        from fakellm.testing.fixture.recorded import FAILED
        from fakellm.testing.fixture.unreached import unreached

        item.stash[FAILED] = report.failed
        if report.failed and (text := unreached(item, call.excinfo)):
            report.sections.append(("fakellm", text))
    return report


def pytest_itemcollected(item: pytest.Item) -> None:
    """Has tests that use the server itself checked after all their other fixtures, and gives tests with a marker their
    fixture."""
    names = getattr(item, "fixturenames", None)
    if names is None:  # not a test in Python
        return
    if "fakellm_server" in names and "_fakellm_server_check" not in names:
        names.insert(0, "_fakellm_server_check")
    marked = any(item.get_closest_marker(each) for each in ("fakellm", _RECORDING))
    if marked and not {"fakellm", "fakellm_server"} & {*names}:
        item.fixturenames = ["fakellm", *names]  # type: ignore[attr-defined] # the list may be that of other tests too


def _reruns(config: pytest.Config) -> bool:
    """Whether tests run more than once."""
    return bool(config.option.fakellm_vary or config.option.fakellm_faults)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Runs a test more than once, if the options ask for it."""
    if not _reruns(item.config) or "fakellm" not in getattr(item, "fixturenames", ()):
        return None
    if item.get_closest_marker(_RECORDING):  # its replies are those of the recording
        return None
    from fakellm.testing.reruns.rerun import protocol

    option = item.config.option
    protocol(item, nextitem, option.fakellm_vary, option.fakellm_faults, option.fakellm_patience)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Reports how many tests ran again with changed replies, and why others did not."""
    if _reruns(config):
        from fakellm.testing.reruns.rerun import summary

        for line in summary(each for reports in terminalreporter.stats.values() for each in reports):
            terminalreporter.write_line(line)
    if file := config.option.fakellm_report:
        verdicts = verdict_report.verdicts_in(each for reports in terminalreporter.stats.values() for each in reports)
        if file is verdict_report.TERMINAL:
            terminalreporter.section("fakellm: what the clients did")
            terminalreporter.write_line("\n".join(verdict_report.lines(verdicts)))
        else:
            verdict_report.write(verdicts, file)
            terminalreporter.write_line(f"fakellm: what the clients did is in {file}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Ends a test with a broken reply that takes too long; its fixtures may take their time."""
    if not item.config.option.fakellm_faults:
        return (yield)
    from fakellm.testing.reruns.alarm import ALARM

    alarm = item.stash.get(ALARM, None)
    with alarm.armed() if alarm else nullcontext():
        return (yield)


@pytest.fixture(scope="session")
def fakellm_server(pytestconfig: pytest.Config) -> Iterator[Handle]:
    """A fake LLM server for the whole test run, in a thread; one per xdist worker. A request to it that no rule answers
    fails the test that uses this fixture."""
    import fakellm
    import fakellm.base  # explains the error if another distribution has overwritten this package
    from fakellm.testing.fixture.settings import configured

    seed, speed, host = configured(pytestconfig).server
    with fakellm.serve(seed=seed, speed=speed, host=host) as server:
        yield server


@pytest.fixture
def _fakellm_server_check(request: pytest.FixtureRequest) -> Iterator[None]:
    """Checks the server itself after a test that uses it."""
    from fakellm.testing.fixture.session_check import check_server
    from fakellm.testing.fixture.settings import settings
    from fakellm.testing.handle import Handle

    server = request.getfixturevalue("fakellm_server")
    if not isinstance(server, Handle):  # a fixture of the user's own
        yield
        return
    server.unforeseen.start(watching=True)
    server.unforeseen.allowed = settings(request.node).allow_unmatched
    yield
    check_server(server)


@pytest.fixture(scope="session")
def _fakellm_servers() -> Iterator[Callable[[int, float, str], Handle]]:
    """Servers for tests whose markers set what only a whole server can have; tests with equal settings share one."""
    import fakellm

    with ExitStack() as stack:

        @cache
        def server(seed: int, speed: float, host: str) -> Handle:
            return stack.enter_context(fakellm.serve(seed=seed, speed=speed, host=host))

        yield server


@pytest.fixture
def fakellm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handle]:
    """A session for this test, to which the environment variables of the usual SDKs point.

    It answers with generated text until there are rules (`fakellm.on(…)`, `fakellm.load(…)`), and from then on only
    with these: a request that no rule matches is refused and fails the test at its end. So does a request to an unknown
    URL, and a script with replies that were not sent. The marker `fakellm` has settings; with the marker
    `fakellm_recording`, the session answers from a recording instead: see `fakellm.testing.fixture.recorded`.
    """
    from fakellm.testing.fixture.recorded import FAILED
    from fakellm.testing.fixture.session_check import ENDED, check_session
    from fakellm.testing.fixture.settings import settings
    from fakellm.testing.sdk_environment import point_to

    node = request.node
    with ExitStack() as stack:
        marker, records, chosen = node.get_closest_marker(_RECORDING), False, settings(node)
        if marker:
            from fakellm.testing.fixture.recorded import recorded

            session, records = stack.enter_context(recorded(node, *marker.args, **marker.kwargs))
        else:
            from fakellm.testing.fixture.opened import opened

            session = opened(request, chosen)
        if _reruns(request.config) and not marker:
            from fakellm.testing.reruns.rerun import CHANGED

            session.vary(node.stash.get(CHANGED, None))
            stack.callback(session.vary, None)
        session.unforeseen.start(watching=True)
        session.unforeseen.allowed = chosen.allow_unmatched
        if chosen.env:
            point_to(session, monkeypatch, records)
        yield session
        if request.config.option.fakellm_report:
            verdict_report.note(node, session.verdict())
        ended = request.config.stash.setdefault(ENDED, set())
        check_session(session, node.stash.get(FAILED, False), ended, scripts=not marker)
