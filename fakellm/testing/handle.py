"""The handle of a running server: loads scenarios, reads the journal and steps replies over the control routes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Set
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Thread, current_thread
from typing import TYPE_CHECKING, Any, NamedTuple, Never
from urllib.parse import quote, urlsplit

from fakellm.base.errors import ServerError
from fakellm.base.words.count import count
from fakellm.engine.entry import Entry
from fakellm.scenarios.loader import ScenarioSource, dump_json, load
from fakellm.scenarios.mistakes.at_the_call import at_the_call
from fakellm.scenarios.scenario import Scenario
from fakellm.server.request_target import session_and_path
from fakellm.testing.adding import Adding, single
from fakellm.testing.control import control
from fakellm.testing.queries import Queries, idle_lines
from fakellm.testing.sdk_environment import variables
from fakellm.testing.unforeseen import Unforeseen

log = logging.getLogger("fakellm")

if TYPE_CHECKING:
    from fakellm.engine.engine import Vary
    from fakellm.testing.functions import Raised


class Home(NamedTuple):
    """What a handle needs of a server in this process.

    put: loads a scenario into a session, strict or not.
    requests: how many requests each session got since it was loaded or reset, by its name.
    sizes: how many rules a session has, and how many entries its journal; it waits for nothing.
    add: adds the rules of a scenario to a session, strict or not, or replaces the rule with a number; returns how many
        there are.
    vary: has the replies of a session sent in another way.
    thread: the server's.
    raised: what the functions of replies have raised.
    """

    put: Callable[[str, Scenario, bool], None] | None
    thread: Thread
    raised: Raised | None = None
    vary: Callable[[str, Vary | None], None] | None = None
    add: Callable[[str, Scenario, int | None, bool], int] | None = None
    requests: Callable[[], dict[str, int]] | None = None
    sizes: Callable[[str], tuple[int, int]] | None = None


class Handle(Adding, Queries):
    """A running server, or one session of it.

    `url` is its root; `base_url` is the URL to configure an SDK with (``…/v1``). Rules are added with `on`, `reply`,
    `script`, `fail` and `add`; `load` replaces them all. The names of scenarios are attributes too: `fakellm.Reply`,
    `fakellm.faults`, `fakellm.call`…
    """

    _settable = ("url", "base_url", "pid", "ca", "strict", "unforeseen", "starts", "sessions", "_home", "_token")

    def __init__(
        self,
        url: str,
        *,
        strict: bool = False,
        pid: int | None = None,
        home: Home | None = None,
        token: str | None = None,
        ca: Path | None = None,
    ) -> None:
        self.url = url
        self.base_url = url + "/v1"
        self.pid = pid
        """The id of the server's process, if it is not this one."""
        self.ca = ca
        """The file with the certificate that clients must trust, if the server has one that was made for it."""
        self.strict = strict
        """Whether a request that no rule matches is refused, once there are rules."""
        self.unforeseen = Unforeseen(self)
        """What the end of a test checks."""
        super().__init__()
        self.sessions: list[Handle] = []
        """The sessions that a test has opened, for the check at its end."""
        self._home = home
        self._token = token

    def __repr__(self) -> str:
        if not (self._home and self._home.sizes):
            return f"<fakellm.Handle {self.url}>"
        rules, entries = self._home.sizes(self._name)
        return f"<fakellm.Handle {self.url}: {count(rules, 'rule')}, {count(entries, 'request')} in the journal>"

    @property
    def unreached(self) -> bool:
        """Whether there are rules, and no request since they were loaded. False if that is not known without a wait."""
        rules, entries = self._sizes
        return rules > 0 and entries == 0

    @property
    def _sizes(self) -> tuple[int, int]:
        """How many rules there are, and how many entries in the journal; 0 if that is not known without a wait."""
        return self._home.sizes(self._name) if self._home and self._home.sizes else (0, 0)

    @property
    def env(self) -> dict[str, str]:
        """The environment variables from which SDKs take the URL and the key of a server, with those of this one."""
        return variables(self.url, self.ca)

    def session(self, name: str, *, strict: bool | None = None) -> Handle:
        """A session on the same server, with its own scenario and journal."""
        url = f"{self.url.partition('/s/')[0]}/s/{quote(name, safe='')}"
        strict = self.strict if strict is None else strict
        found = Handle(url, strict=strict, pid=self.pid, home=self._home, token=self._token, ca=self.ca)
        if self.unforeseen.watching:
            found.unforeseen.start(watching=True)
            self.sessions.append(found)
        return found

    @at_the_call
    def load(self, source: ScenarioSource, *more: Never) -> None:
        """Replaces the scenario, all rules that were added included, and empties the journal. `add` keeps both.

        Raises ScenarioError if the scenario is not valid, and if a reply is a function and the server is not in this
        process.
        """
        scenario = load(single("load", source, more))
        self._emptying()
        if self.starts:
            log.warning("load replaces the rules that were added before: %d; add keeps them", len(self.starts))
        self._end_chains()
        if self._home and self._home.put and scenario.computed:
            self._check_thread()
            self._home.put(self._name, scenario, self.strict)
        else:
            self._call("PUT", f"/_fakellm/scenario?{self._query}", "scenario", dump_json(scenario).encode())

    def _add(self, scenario: Scenario, number: int | None = None) -> int:
        """Adds rules, or replaces the one with this number; returns how many there are."""
        if self._home and self._home.add and scenario.computed:
            self._check_thread()
            return self._home.add(self._name, scenario, number, self.strict)
        query = self._query + ("" if number is None else f"&replace={number}")
        reply = self._call("POST", f"/_fakellm/rules?{query}", "rules", dump_json(scenario).encode())
        return int(reply["rules"])

    @property
    def _query(self) -> str:
        return f"strict={'true' if self.strict else 'false'}"

    def _emptying(self) -> None:
        self.unforeseen.emptying()

    def allow_unmatched(self) -> None:
        """Requests that no rule answers do not fail this test at its end."""
        self.unforeseen.allowed = True

    def expect_unmatched(self) -> AbstractContextManager[list[Entry]]:
        """Within this block, the application must send a request that no rule answers: one that no rule matches, after
        the end of a script, or to a URL that is not served. Such requests do not fail the test at its end; after the
        block, the list has their entries. Raises AssertionError if there was none."""
        return self.unforeseen.expected()

    def late_requests(self, ended: Set[str]) -> list[str]:
        """The URLs, of those of ended sessions, to which requests have come since; these sessions end again."""
        if not (self._home and self._home.requests):
            return []
        root = self.url.partition("/s/")[0]
        counts = {f"{root}/s/{quote(name, safe='')}": number for name, number in self._home.requests().items()}
        found = [url for url, number in counts.items() if number and url in ended]
        for url in found:
            Handle(url, token=self._token, ca=self.ca).reset()
        return found

    def unsent(self) -> list[str]:
        """A line for each script with replies that no request came for."""
        return self._left()[0]

    def _left(self) -> tuple[list[str], list[str]]:
        """What had no effect: a line for each script with replies that no request came for, and one for each rule whose
        fault broke no reply."""
        left = self._call("GET", "/_fakellm/scripts", "scripts")
        scripts = [
            f"the script of {each['rule']!r} has replies for {count(each['replies'], 'request')}, "
            f"got {each['requests']}"
            for each in left["scripts"]
            if each["requests"] < each["replies"] and not each["forgotten"]
        ]
        return scripts, idle_lines(left["faults"])

    def vary(self, how: Vary | None) -> None:
        """From the next scenario on, or now if there is none, has replies sent as `how` changes their rules. Raises
        ServerError if the server is not in this process."""
        if not (self._home and self._home.vary):
            raise ServerError("only a server in this process varies its replies: use fakellm.serve")
        self._home.vary(self._name, how)

    def raised(self) -> list[BaseException]:
        """What functions of replies have raised since the last call, oldest first: in this session and in the server's
        own scenario. What is not fetched here is raised at the end of the test: by the fixture, or by `with serve`."""
        return self._home.raised.take(self._name or None) if self._home and self._home.raised else []

    @property
    def _name(self) -> str:
        return session_and_path(urlsplit(self.url).path)[0]

    def _check_thread(self) -> None:
        if self._home and self._home.thread is current_thread():
            message = (
                "an async function of a reply runs in the server's thread, which cannot wait for itself: use the "
                "handle in a function that is not async, or with await asyncio.to_thread(…)"
            )
            raise ServerError(message)

    def reset(self) -> None:
        """Returns to the initial state: the first scenario, an empty journal."""
        self._emptying()
        self._end_chains()
        self._call("POST", "/_fakellm/reset", "status")

    def step(self, frames: int | None = 1, *, request: int | None = None, timeout: int = 5) -> list[str]:
        """Sends this many frames of a stepped reply (`timing: {step: true}`), or all that are left (None).

        Returns their texts after they have been written to the socket. All belong to one reply: that to the request
        with this number in the journal or, by default, the oldest with frames left; if it has fewer, fewer are sent.
        Raises ServerError if no such reply waits within `timeout` seconds, or its client has left or does not read.
        """
        query = f"frames={'all' if frames is None else frames}&timeout={timeout}"
        query += "" if request is None else f"&request={request}"
        texts: list[str] = self._call("POST", f"/_fakellm/step?{query}", "frames", patience=timeout)["frames"]
        return texts

    def advance(self, seconds: float) -> float:
        """Lets so much time pass for the quotas of this session (`limits:`), without a wait. Returns the seconds that
        have passed in all; apart from these calls, the time stands still. Raises ServerError for a number below 0."""
        return float(self._call("POST", f"/_fakellm/advance?seconds={seconds}", "advanced")["advanced"])

    def health(self) -> dict[str, Any]:
        """The server's version, seed and scenario."""
        return self._call("GET", "/_fakellm/health", "status")

    def _call(self, method: str, route: str, key: str, body: bytes | None = None, patience: int = 0) -> dict[str, Any]:
        """The response of a control route, which has this key. Raises as `control` does."""
        self._check_thread()
        return control(self.url, method, route, key, body, patience, self._token, self.ca)
