"""A server whose next stream is set by one call. Owns it, the responses that it gave, and the deadline of a client.

The server runs in a thread of this process; what it says next is an object that is put in its place.
"""

from __future__ import annotations

from fakellm.base.errors import RequestError, ServerError
from fakellm.engine.engine import Answer, Engine
from fakellm.engine.journal import Entry
from fakellm.scenarios.scenario import Rule, Scenario
from fakellm.server.hosting import Hosted
from fakellm.server.scenario_app import App, Call
from fakellm.wire.plan import Plan

_LOOKS = 8
"""How many times in a deadline it is looked whether a client has come back."""


class _Stage(App):
    """The application, with all the responses that it gave since the last rule was put up."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self.plans: list[Plan] = []
        self.asked = False
        self.gzip = False
        self.several = False
        self.broke: RequestError | None = None

    def handle(self, call: Call) -> tuple[Answer, Entry]:
        self.asked = True
        self.gzip = "gzip" in call.headers.get("Accept-Encoding", "")
        answer, entry = super().handle(call)
        self.several = isinstance(entry.request, dict) and entry.request.get("n") not in (None, 1)
        self.plans.append(answer.plan)
        return answer, entry

    def refuse(self, call: Call, error: RequestError) -> tuple[Answer, Entry]:
        if error.code == "internal_error":
            self.broke = error
        return super().refuse(call, error)


class Session:
    """A server for one client, which asks it one thing at a time: ``with Session(seed) as session``.

    deadline: seconds from its first request after which a client has hung; its streams are ended then, so that it can
        be told so. What it does before that, such as to start a driver, is not what it is tried for.
    """

    def __init__(self, seed: int = 0, deadline: float = 10.0) -> None:
        self._app = _Stage(seed)
        self._hosted = Hosted(self._app)
        self._deadline = deadline
        self._case = 0
        self._waiting = False
        self._looked = (0, 0)
        self.late = False
        """Whether the client of the last rule was still waiting at the deadline."""

    @property
    def base_url(self) -> str:
        return self._hosted.url + "/v1"

    @property
    def plans(self) -> list[Plan]:
        """The responses given since `play`."""
        return self._app.plans

    @property
    def takes_gzip(self) -> bool:
        """Whether the client said that it does, when it last asked."""
        return self._app.gzip

    @property
    def takes_choices(self) -> bool:
        """Whether the client asked for several of them, when it last asked."""
        return self._app.several

    def play(self, rule: Rule) -> None:
        """From now on `rule` answers, and whoever asks has until the deadline; `rest` when the client has come back."""
        self._app.sessions[""] = Engine(Scenario(rules=(rule,)), self._app.seed, False)
        self._app.plans = []
        self._app.asked = False
        self.late = False
        self._case += 1
        self._waiting = True

    def rest(self) -> None:
        """No client is waited for. Raises ServerError where the server itself failed: no client is to blame then."""
        self._waiting = False
        if self._app.broke is not None:
            raise ServerError(self._app.broke.message)

    def __enter__(self) -> Session:
        self._hosted.__enter__()
        self._hosted.loop.call_soon_threadsafe(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self._hosted.__exit__()

    def _look(self) -> None:
        """One look a while, whatever the number of cases: a timer for each would cost more than the case."""
        case, looks = self._looked
        looks = looks + 1 if self._waiting and self._app.asked and case == self._case else 0
        self._looked = (self._case, looks)
        if looks > _LOOKS:
            self.late = True
            self._hosted.server.cut_off()
            self._looked = (self._case, 0)
        self._hosted.loop.call_later(self._deadline / _LOOKS, self._look)
