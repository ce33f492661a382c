"""A server that serves one rule at a time, set by a call. Owns the responses it sent and the client's deadline.

The server runs in a thread of this process.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from fakellm.apis.route import CHAT, Route
from fakellm.apis.variation import Variation
from fakellm.base.errors import RequestError, ServerError
from fakellm.engine.entry import Entry
from fakellm.engine.render import render
from fakellm.engine.response import Outcome, Response
from fakellm.fuzzing.endpoints import endpoint_of
from fakellm.model.request import Request
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.server.hosting import Hosted
from fakellm.server.scenario_app import App, HttpRequest
from fakellm.wire.plan import Plan

_CHECKS = 8
"""How often per deadline to check whether the client has returned."""


class _CaseApp(App):
    """The application, with all the responses that it sent since the rule was last replaced."""

    def __init__(self, seed: int, api: Route) -> None:
        super().__init__(seed=seed)
        self.offloads = False  # nothing else waits; and a process that starts may take longer than a client's patience
        self._api = api
        self.plans: list[Plan] = []
        self.requested = ""
        self.accepted_codings = ""
        self.accepts_choices = False
        self.sent_request: Request | None = None
        self.internal_error: RequestError | None = None

    def handle(self, request: HttpRequest) -> tuple[Outcome, Entry]:
        self.requested = request.path
        self.accepted_codings = request.headers.get("Accept-Encoding", "")
        outcome, entry = super().handle(request)
        self.sent_request = self._parsed(request)
        self.accepts_choices = self.sent_request is not None and self.sent_request.choices > 1
        if isinstance(outcome, Response):
            self.plans.append(outcome.plan)
        return outcome, entry

    def _parsed(self, request: HttpRequest) -> Request | None:
        """The request as one to the API; None if it is not valid."""
        try:
            return self._api.parse(request.body, {}, request.target.url)
        except RequestError:
            return None

    def refuse(self, request: HttpRequest, error: RequestError, entry: Entry | None = None) -> tuple[Response, Entry]:
        if error.code == "internal_error":
            self.internal_error = error
        return super().refuse(request, error, entry)


class CaseServer:
    """A server for one client that sends one request at a time: ``with CaseServer(seed) as server``.

    deadline: seconds from the client's first request after which it has hung. The server then ends its streams, so that
        the client can report that. Time before the request, such as for starting a driver, does not count.
    api: what the client's requests are for; the server has its path.
    """

    def __init__(self, seed: int = 0, deadline: float = 10.0, api: Route = CHAT) -> None:
        self._app = _CaseApp(seed, api)
        self._api = api
        self._base = endpoint_of(api).base
        self._hosted = Hosted(self._app)
        self._deadline = deadline
        self._case = 0
        self._waiting = False
        self._checked = (0, 0)
        self.late = False
        """Whether the client was still waiting at the deadline of the current rule."""

    @property
    def base_url(self) -> str:
        """The base URL that an SDK of the API takes."""
        return self._hosted.url + self._base

    @property
    def plans(self) -> list[Plan]:
        """The responses sent since `play`."""
        return self._app.plans

    @property
    def requested(self) -> str:
        """The path that the client requested last since `play`; empty if none."""
        return self._app.requested

    def accepts(self, coding: str) -> bool:
        """Whether the client's last request allowed a response with this coding."""
        return coding in self._app.accepted_codings

    @property
    def accepts_choices(self) -> bool:
        """Whether the client's last request was for several choices."""
        return self._app.accepts_choices

    def plain(self, rule: Rule) -> Plan | None:
        """The response to the client's last request by a rule without its steps and its fault; None if the request was
        not valid."""
        request, dialect = self._app.sent_request, rule.dialect or ("openai" if self._api is CHAT else None)
        if request is None:
            return None
        plain = replace(rule, name="plain", dialect=dialect, stream=Variation(), fault=None)
        return render(plain, request, self._app.seed, self._api)

    def play(self, rule: Rule) -> None:
        """From now on `rule` answers every request, and the deadline applies. Call `finish` once the client has
        returned."""
        self._hosted.change(partial(self._load, rule))  # a client that gave up may still be answered in that thread
        self.late = False
        self._case += 1
        self._waiting = True

    def _load(self, rule: Rule) -> None:
        self._app.load("", Scenario(rules=(rule,)), False)
        self._app.plans = []
        self._app.requested = ""

    def finish(self) -> None:
        """The client has returned. Raises ServerError if the server itself failed, which is not the client's fault."""
        self._waiting = False
        if self._app.internal_error is not None:
            raise ServerError(self._app.internal_error.message)

    def __enter__(self) -> CaseServer:
        self._hosted.__enter__()
        self._hosted.loop.call_soon_threadsafe(self._check)
        return self

    def __exit__(self, *_: object) -> None:
        self._hosted.__exit__()

    def _check(self) -> None:
        """Checks at a fixed interval, however many cases there are: a timer per case would cost more than the case."""
        case, checks = self._checked
        checks = checks + 1 if self._waiting and self._app.requested and case == self._case else 0
        self._checked = (self._case, checks)
        if checks > _CHECKS:
            self.late = True
            self._hosted.server.cut_off()
            self._checked = (self._case, 0)
        self._hosted.loop.call_later(self._deadline / _CHECKS, self._check)
