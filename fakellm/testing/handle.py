"""The handle of a running server: loads scenarios, reads the journal and steps replies over the control routes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from threading import Thread, current_thread
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from fakellm.base.errors import ScenarioError, ServerError
from fakellm.scenarios.loader import ScenarioSource, dump_json, load
from fakellm.scenarios.scenario import Scenario
from fakellm.server.request_target import session_and_path
from fakellm.testing.queries import Queries

if TYPE_CHECKING:
    from fakellm.engine.engine import Vary
    from fakellm.testing.functions import Raised


class Home(NamedTuple):
    """What a handle needs of a server in this process.

    put: loads a scenario into a session, strict or not.
    vary: has the replies of a session sent in another way.
    thread: the server's.
    raised: what the functions of replies have raised.
    """

    put: Callable[[str, Scenario, bool], None] | None
    thread: Thread
    raised: Raised | None = None
    vary: Callable[[str, Vary | None], None] | None = None


class Handle(Queries):
    """A running server, or one session of it.

    `url` is its root; `base_url` is the URL to configure an SDK with (``…/v1``).
    """

    def __init__(self, url: str, *, strict: bool = False, pid: int | None = None, home: Home | None = None) -> None:
        self.url = url
        self.base_url = url + "/v1"
        self.pid = pid
        """The id of the server's process, if it is not this one."""
        self._strict = strict
        self._home = home

    @property
    def env(self) -> dict[str, str]:
        """The environment variables from which SDKs take the URL and the key of a server, with those of this one.

        Google's SDKs warn if there is a GEMINI_API_KEY beside the GOOGLE_API_KEY, so the fixture removes it.
        """
        key = "fakellm"
        return {
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_BASE": self.base_url,  # LangChain, LiteLLM
            "OPENAI_API_KEY": key,
            "AZURE_OPENAI_ENDPOINT": self.url,
            "AZURE_OPENAI_API_KEY": key,
            "OPENAI_API_VERSION": "2024-10-21",  # without one, Azure's client does not start
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": key,
            "GOOGLE_GEMINI_BASE_URL": self.url,
            "GOOGLE_VERTEX_BASE_URL": self.url,
            "GOOGLE_API_KEY": key,
            "GEMINI_API_BASE": f"{self.url}/v1beta",  # LiteLLM
            "OLLAMA_HOST": self.url,
            "OLLAMA_API_BASE": self.url,  # LiteLLM
        }

    def session(self, name: str, *, strict: bool | None = None) -> Handle:
        """A session on the same server, with its own scenario and journal."""
        url = f"{self.url.partition('/s/')[0]}/s/{quote(name, safe='')}"
        return Handle(url, strict=self._strict if strict is None else strict, pid=self.pid, home=self._home)

    def load(self, source: ScenarioSource) -> None:
        """Replaces the scenario, and empties the journal.

        Raises ScenarioError if the scenario is not valid, and if a reply is a function and the server is not in this
        process.
        """
        scenario = load(source)
        if self._home and self._home.put and scenario.computed:
            self._check_thread()
            self._home.put(self._name, scenario, self._strict)
        else:
            query = f"strict={'true' if self._strict else 'false'}"
            self._call("PUT", f"/_fakellm/scenario?{query}", "scenario", dump_json(scenario).encode())

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

    def health(self) -> dict[str, Any]:
        """The server's version, seed and scenario."""
        return self._call("GET", "/_fakellm/health", "status")

    def _call(self, method: str, route: str, key: str, body: bytes | None = None, patience: int = 0) -> dict[str, Any]:
        """The response of a control route, which has this key. Raises ScenarioError if it refuses a scenario, else
        ServerError if there is no such response."""
        self._check_thread()
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30 + patience)
        try:
            connection.request(method, address.path + route, body)
            response = connection.getresponse()
            received = response.read()
        except OSError as error:
            raise ServerError(f"no fake server answers at {self.url}: {error}") from None
        except http.client.HTTPException as error:
            raise ServerError(f"the server at {self.url} does not answer in HTTP: {error!r}") from None
        finally:
            connection.close()
        try:
            reply: dict[str, Any] = json.loads(received)
            if response.status == 200:
                reply[key]
                return reply
            message, code = str(reply["error"]["message"]), reply["error"]["code"]
        except (ValueError, TypeError, KeyError):
            start = f"{received[:80]!r}{'…' if len(received) > 80 else ''}"
            raise ServerError(
                f"the server at {self.url} is not fakellm: {method} {route} got status {response.status} and {start}"
            ) from None
        raise ScenarioError(message.split("\n")) if code == "invalid_scenario" else ServerError(message)
