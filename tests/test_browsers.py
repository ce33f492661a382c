"""What a page in a browser can do to a server on the same machine: use the API, and not its control routes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm.base.errors import RequestError
from fakellm.server.page.paths import is_page
from fakellm.server.replay_app import Replay
from fakellm.server.requests.browsers import check_browser, checked_host, checked_hosts
from fakellm.server.scenario_app import ROUTES
from fakellm.testing.handle import Handle
from tests.conftest import chat

CONTROL = [
    (method, path)
    for path, methods in ROUTES.items()
    for method in methods
    if path.startswith("/_fakellm/") and not is_page(path)
]
GUARDED = [each for each in CONTROL if not each[1].startswith("/_fakellm/health")]
CHANGING = [each for each in CONTROL if each[0] != "GET"]
SCENARIO = b"rules: []"
WITH_SCENARIO = [("PUT", "/_fakellm/scenario"), ("POST", "/_fakellm/rules")]
EMPTY = {
    ("POST", "/_fakellm/step"): 400,
    ("POST", "/_fakellm/cookie"): 400,
    ("POST", "/_fakellm/preview"): 400,
    ("GET", "/_fakellm/requests"): 404,
    ("PUT", "/_fakellm/fault"): 400,
    ("PUT", "/_fakellm/speed"): 400,
    ("PUT", "/_fakellm/file"): 409,
}
"""The status of a request without parameters and body, to a server without requests, if it is not 200."""


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve(allow_hosts=["fakellm.test"]) as running:
        yield running


def sent(server: Handle, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str, dict[str, str]]:
    """The status, the error's code and message, and the headers of the reply."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    path = path.replace("{number}", "1")
    path += {"/_fakellm/step": "?timeout=0", "/_fakellm/advance": "?seconds=0"}.get(path, "")
    connection.request(method, path, body or (SCENARIO if (method, path) in WITH_SCENARIO else b""), headers)
    reply = connection.getresponse()
    endless = reply.status == 200 and path.endswith("/events")
    error = (not endless and json.loads(reply.read()).get("error")) or {"code": "", "message": ""}
    connection.close()
    found = {name.lower(): value for name, value in reply.getheaders()}
    return reply.status, f"{error['code']}: {error['message']}", found


def _refused(found: tuple[int, str, dict[str, str]]) -> tuple[int, str]:
    return found[0], found[1].partition(":")[0]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_control_route_is_not_available_under_any_name(server: Handle, method: str, path: str) -> None:
    status, error, _ = sent(server, method, path, host="rebound.example:8080")
    assert (status, error.partition(":")[0]) == (403, "host_not_allowed")
    assert "'rebound.example:8080'" in error
    assert "--allow-host rebound.example" in error


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:80", "10.0.0.1", "fakellm.test:1"])
@pytest.mark.parametrize(("method", "path"), CONTROL)
def test_a_control_route_is_available_under_names_of_this_server(
    server: Handle, method: str, path: str, host: str
) -> None:
    assert sent(server, method, path, host=host)[0] == EMPTY.get((method, path.partition("/{number}")[0]), 200)


def test_health_and_the_api_are_available_under_any_name(server: Handle) -> None:
    for path in ("/_fakellm/health", "/_fakellm/health/live", "/_fakellm/health/ready"):
        assert sent(server, "GET", path, host="probe")[0] == 200
    assert sent(server, "GET", "/v1/models", host="api.example")[0] == 200


ORIGINS = ["http://site.example", "null", "http://127.0.0.1:1", "file://", "http://localhost"]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_a_page_of_another_origin_changes_nothing(server: Handle, method: str, path: str, origin: str) -> None:
    session = server.session("page")
    session.reset()
    sent(session, "POST", "/s/page/v1/chat/completions", chat())
    status, error, _ = sent(server, method, "/s/page" + path, origin=origin)
    assert (status, error.partition(":")[0]) == (403, "origin_not_allowed")
    assert repr(origin) in error
    assert len(session.journal) == 1


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_page_of_another_origin_gets_nothing(server: Handle, method: str, path: str, origin: str) -> None:
    assert _refused(sent(server, method, path, origin=origin)) == (403, "origin_not_allowed")


FETCH = {"site": "same-origin", "mode": "cors", "dest": "empty"}
"""What a browser states about a request of this server's own page."""


@pytest.mark.parametrize(
    ("changed", "served"),
    [
        ({}, True),
        ({"site": "none", "mode": "navigate", "dest": "document"}, True),  # typed by a person
        ({"site": "cross-site"}, False),
        ({"site": "same-site"}, False),  # a page of another port of this machine
        ({"site": "cross-site", "mode": "no-cors", "dest": "script"}, False),
        ({"site": "same-site", "mode": "no-cors", "dest": "image"}, False),
        ({"site": "cross-site", "mode": "navigate", "dest": "iframe"}, False),
        ({"site": "cross-site", "mode": "navigate", "dest": "document"}, True),  # a person follows a link
    ],
)
@pytest.mark.parametrize("path", ["/_fakellm/journal", "/_fakellm/"])
def test_what_a_browser_states_decides(server: Handle, path: str, changed: dict[str, str], served: bool) -> None:
    headers = {f"sec-fetch-{name}": value for name, value in (FETCH | changed).items()}
    reply = httpx2.get(server.url + path, headers=headers)
    assert reply.status_code == (200 if served else 403)
    assert served or reply.json()["error"]["code"] == "origin_not_allowed"


def test_a_link_of_another_page_changes_nothing(server: Handle) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert httpx2.post(server.url + "/_fakellm/reset", headers=headers).status_code == 403


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_a_page_of_this_server_may_change_it(server: Handle, method: str, path: str) -> None:
    assert sent(server, method, path, origin=server.url)[0] != 403


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [*sorted({path for _, path in CONTROL}), "/_fakellm/nowhere"])
def test_no_page_reads_what_a_control_route_sends(server: Handle, method: str, path: str) -> None:
    for host in ("localhost", "rebound.example"):
        headers = sent(server, method, path, b"[" if method == "PUT" else b"", host=host)[2]
        assert [name for name in headers if name.startswith("access-control-")] == []


def test_a_replay_has_the_same_checks() -> None:
    from fakellm.server.hosting import Hosted

    with Hosted(Replay([])) as hosted:
        assert sent(Handle(hosted.url), "POST", "/_fakellm/reset", host="rebound.example")[0] == 403
        assert sent(Handle(hosted.url), "POST", "/_fakellm/reset", origin="null")[0] == 403
        assert sent(Handle(hosted.url), "POST", "/_fakellm/reset")[0] == 200


def test_a_process_of_its_own_takes_names_too() -> None:
    with fakellm.spawn(allow_hosts="Fakellm.Test") as server:
        assert sent(server, "POST", "/_fakellm/reset", host="fakellm.test:8080")[0] == 200
        assert sent(server, "POST", "/_fakellm/reset", host="other.test")[0] == 403


TEXT = st.text(st.characters(), max_size=20)
"""With lone surrogates: aiohttp reads bytes that are not UTF-8 as such."""


@given(TEXT, TEXT, st.sampled_from(["GET", "POST"]))
def test_any_header_passes_or_is_refused(host: str, origin: str, method: str) -> None:
    try:
        check_browser(method, {"Host": host, "Origin": origin}, frozenset())
    except RequestError as refused:
        error = refused
    else:
        return
    assert error.status == 403
    error.message.encode()


@pytest.mark.parametrize("name", ["", "http://a", "a:80", "a/b", "a@b", "a?b", "[", "a b"])
def test_a_host_is_a_name_alone(name: str) -> None:
    with pytest.raises(ValueError, match="expected the name of a host"):
        checked_host(name)
    with pytest.raises(ValueError, match="expected the name of a host"), fakellm.serve(allow_hosts=[name]):
        pass


def test_names_are_compared_in_lower_case_without_the_last_dot() -> None:
    assert checked_hosts(["Fakellm.Test.", "b"]) == {"fakellm.test", "b"}
    check_browser("GET", {"Host": "FAKELLM.test.:80"}, checked_hosts("fakellm.test"))
