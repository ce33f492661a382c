"""The token of control routes: who has it gets through, nobody else does, and nothing that is sent or shown contains it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import fakellm
from fakellm.base.errors import RequestError, ServerError
from fakellm.cli import main
from fakellm.server.hosting import Hosted
from fakellm.server.page.paths import is_page
from fakellm.server.replay_app import Replay
from fakellm.server.requests.control_access import ControlAccess
from fakellm.server.requests.control_token import VARIABLE, check_token, checked_token, cookie_of
from fakellm.server.scenario_app import ROUTES
from fakellm.testing.handle import Handle
from tests.conftest import chat, post

TOKEN = "correct-horse-battery"
CONTROL = [(method, path) for path, methods in ROUTES.items() for method in methods if path.startswith("/_fakellm/")]
OPEN = [each for each in CONTROL if each[1].startswith("/_fakellm/health") or is_page(each[1])]
CLOSED = [each for each in CONTROL if each not in OPEN]


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve(control_token=TOKEN) as running:
        yield running


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
ANY = st.text(st.characters(), max_size=30)
"""With lone surrogates: aiohttp reads bytes that are not UTF-8 as such."""


@given(TOKENS, TOKENS)
def test_only_the_token_and_its_cookie_pass(token: str, other: str) -> None:
    for scheme in ("Bearer", "bearer"):
        check_token({"Authorization": f"{scheme} {token}"}, token)
    check_token({"Cookie": f"a=b; {cookie_of(token)};c=d"}, token)
    if token != other:
        for headers in (bearer(other), {"Cookie": cookie_of(other)}, {"Cookie": token}, {"Authorization": token}):
            with pytest.raises(RequestError) as refused:
                check_token(headers, token)
            assert refused.value.status == 401


@given(TOKENS, ANY, ANY)
def test_any_other_headers_are_refused(token: str, authorization: str, cookie: str) -> None:
    if token in authorization:
        return
    with pytest.raises(RequestError) as refused:
        check_token({"Authorization": authorization, "Cookie": cookie}, token)
    assert refused.value.status == 401
    refused.value.message.encode()


@given(TOKENS.filter(lambda token: len(token) > 3))
def test_the_cookie_does_not_contain_the_token(token: str) -> None:
    assert token not in cookie_of(token)


def test_two_servers_on_one_host_have_cookies_of_their_own() -> None:
    first, second = (cookie_of(token).partition("=")[0] for token in ("one", "two"))
    assert first != second


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_control_route_needs_the_token(server: Handle, method: str, path: str) -> None:
    for headers, code in (({}, "control_token_required"), (bearer("wrong"), "invalid_control_token")):
        reply = httpx2.request(method, server.url + path, headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, code)
        assert reply.headers["www-authenticate"] == 'Bearer realm="fakellm"'
        assert TOKEN not in reply.text
    url = f"{server.url}/s/token{path}" + ("?timeout=1" if path.endswith("/step") else "")
    with httpx2.stream(method, url, headers=bearer(TOKEN)) as served:  # events do not end
        assert served.status_code != 401


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_health_and_the_files_of_the_page_need_none(server: Handle, method: str, path: str) -> None:
    assert httpx2.request(method, server.url + path).status_code == 200


def test_the_api_needs_none(server: Handle) -> None:
    assert post(server.base_url + "/chat/completions", chat()).status_code == 200


def test_a_page_exchanges_the_token_for_a_cookie(server: Handle) -> None:
    reply = httpx2.post(server.url + "/_fakellm/cookie", headers=bearer(TOKEN))
    cookie, *attributes = reply.headers["set-cookie"].split("; ")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict"]
    with httpx2.Client(headers={"Cookie": cookie}) as browser:
        assert browser.get(server.url + "/_fakellm/journal").status_code == 200
        assert browser.get(server.url + "/s/other/_fakellm/journal").status_code == 200
        assert browser.post(server.url + "/_fakellm/cookie").status_code == 400  # the token itself is needed for it
        foreign = {"Origin": "http://127.0.0.1:1"}  # which the browser sends the same cookie
        assert browser.post(server.url + "/_fakellm/reset", headers=foreign).status_code == 403


def test_the_handle_and_its_sessions_send_it(server: Handle) -> None:
    session = server.session("own")
    session.load({"rules": [{"reply": {"content": "Hello"}}]})
    post(session.base_url + "/chat/completions", chat())
    assert [entry.matched for entry in session.journal] == [True]
    session.reset()
    assert len(session.journal) == 0


def test_a_handle_without_it_is_refused(server: Handle) -> None:
    with pytest.raises(ServerError, match=f"need its control token: send it .* take it from {VARIABLE}"):
        Handle(server.url).reset()


def test_a_process_of_its_own_has_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "of-the-environment")
    with fakellm.spawn() as server:
        assert httpx2.get(server.url + "/_fakellm/journal").status_code == 401
        assert httpx2.get(server.url + "/_fakellm/journal", headers=bearer("of-the-environment")).status_code == 200
        assert len(server.journal) == 0


def test_a_token_of_its_own_comes_before_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "of-the-environment")
    with fakellm.serve(control_token=TOKEN) as server:
        assert httpx2.get(server.url + "/_fakellm/journal", headers=bearer("of-the-environment")).status_code == 401
        assert len(server.journal) == 0
    with fakellm.serve() as server:
        assert httpx2.get(server.url + "/_fakellm/journal", headers=bearer("of-the-environment")).status_code == 200
        assert len(server.journal) == 0


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    with fakellm.serve() as server:
        assert httpx2.get(server.url + "/_fakellm/journal").status_code == 200


@pytest.mark.parametrize("token", ["", " ", "a b", "a\n", "schlüssel", "a\0"])
def test_a_token_is_visible_ascii(token: str) -> None:
    with pytest.raises(ValueError, match="a control token must be visible ASCII without spaces"):
        checked_token(token)
    with pytest.raises(ValueError, match="a control token must be"), fakellm.serve(control_token=token):
        pass


def test_a_wrong_type_is_refused_without_its_value() -> None:
    wrong: Any = b"secret"
    with (
        pytest.raises(ValueError, match=r"^control_token must be a text or None, got a value of type bytes$"),
        fakellm.serve(control_token=wrong),
    ):
        pass
    with pytest.raises(ValueError, match="page must be True or False, got b'secret'"), fakellm.serve(page=wrong):
        pass


def test_the_command_refuses_a_token_that_no_header_can_hold() -> None:
    done = CliRunner().invoke(main, ["serve", "--control-token", "a b"])
    assert done.exit_code == 2
    assert "a control token must be visible ASCII without spaces" in done.output


@pytest.mark.parametrize(
    ("host", "token", "warned"),
    [("0.0.0.0", None, True), ("0.0.0.0", TOKEN, False), ("127.0.0.1", None, False)],
)
def test_a_server_that_others_reach_without_a_token_warns(
    host: str, token: str | None, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with Hosted(Replay([]), host=host, access=ControlAccess.of(token=token)):
        pass
    messages = [record.getMessage() for record in caplog.records]
    assert ["start it with --control-token" in message for message in messages] == ([True] if warned else [])


def test_the_journal_does_not_show_the_cookie(server: Handle) -> None:
    session = server.session("cookies")
    post(session.base_url + "/chat/completions", chat(), cookie=cookie_of(TOKEN))
    [entry] = session.journal
    assert set(entry.headers["cookie"]) == {"*"}
    assert cookie_of(TOKEN).partition("=")[2] not in json.dumps(entry.headers)
