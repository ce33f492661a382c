"""The journal, the log and the replies of a server show no keys, under whatever names they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fakellm
from fakellm.base.secrets.names import secret_field, secret_header
from fakellm.base.validation import SHOWN, shortened
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.redaction import redacted_json
from fakellm.scenarios.loader import load
from fakellm.server.application import Application, HttpRequest
from fakellm.server.hosting import Hosted
from fakellm.server.replay_app import Replay
from fakellm.server.scenario_app import App
from fakellm.wire.plan import Frame, Plan
from tests.conftest import chat, handled, post
from tests.test_redaction import EVERYWHERE, IN_HEADERS, IN_URLS, SECRETS, names

CHAT = "/v1/chat/completions"
Place = Callable[[str, str], HttpRequest]


def asked(path: str = CHAT, body: bytes | None = None, headers: dict[str, str] | None = None) -> HttpRequest:
    return HttpRequest("POST", path, chat() if body is None else body, headers or {})


ELSEWHERE: dict[str, dict[str, Any]] = {
    "/v1/messages": {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses": {"model": "m", "input": "Hi"},
    "/v1beta/models/m:generateContent": {"contents": [{"parts": [{"text": "Hi"}]}]},
    "/api/chat": {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": False},
}
"""Requests to the other APIs."""


def asked_elsewhere(path: str, query: str = "", headers: dict[str, str] | None = None, **fields: Any) -> HttpRequest:
    body = json.dumps(ELSEWHERE[path] | fields).encode()
    return HttpRequest("POST", path + query, body, headers or {})


HEADERS: Sequence[Place] = (
    *(partial(lambda path, name, secret: asked_elsewhere(path, headers={name: secret}), path) for path in ELSEWHERE),
    lambda name, secret: asked(headers={name: secret}),
    lambda name, secret: asked(headers={name: f"Bearer {secret}"}),
)
URLS: Sequence[Place] = (
    *(
        partial(lambda path, name, secret: asked_elsewhere(path, f"?{name}={quote(secret, safe='')}"), path)
        for path in ELSEWHERE
    ),
    lambda name, secret: asked(f"{CHAT}?a=b&{name}={quote(secret, safe='')}"),
    lambda name, secret: asked(f"/s/mine/v1/nowhere?{name}={quote(secret, safe='')}&a=b"),
    lambda name, secret: asked(f"{CHAT}?{name.replace('_', '%5F')}={secret.replace('+', '%2B')}#x"),
    lambda name, secret: HttpRequest("DELETE", f"{CHAT}?{name}={quote(secret, safe='')}"),
    lambda name, secret: HttpRequest("GET", f"/_fakellm/nowhere?{name}={quote(secret, safe='')}"),
)
BODIES: Sequence[Place] = (
    *(partial(lambda path, name, secret: asked_elsewhere(path, **{name: secret}), path) for path in ELSEWHERE),
    lambda name, secret: asked(body=chat(**{name: secret})),
    lambda name, secret: asked(body=chat(metadata={"a": [{name: secret}]})),
    lambda name, secret: asked(body=chat(user=json.dumps({"arguments": json.dumps({name: secret})}))),
    lambda name, secret: asked(body=chat(**{name: secret})[:-1]),  # not JSON
    lambda name, secret: asked(body=json.dumps({name: secret}).encode()),
)
PLACED = st.one_of(
    st.tuples(st.sampled_from(HEADERS), names(IN_HEADERS)),
    st.tuples(st.sampled_from(URLS), names(IN_URLS)),
    st.tuples(st.sampled_from(BODIES), names(EVERYWHERE)),
)
RECORDED = Cassette("c", (Interaction(RecordedRequest("POST", "/v1/other", (), b"{}"), Plan(200, (), (Frame(b"x"),))),))


def applications(name: str, secret: str) -> list[Application]:
    """Servers of each kind, among them one whose rule matches on the secret itself, and one that matches on another."""
    conditions: list[dict[str, Any]] = []
    if secret_header(name):
        conditions += [{"headers": {name: secret}}, {"headers": {name: {"regex": "never"}}}]
    if secret_field(name) and "." not in name:
        conditions += [{"body": {name: secret}}, {"body": {f"metadata.a[0].{name}": "other"}}]
    rules = [load({"rules": [{"when": when | {"model": "never"}, "reply": {}}]}) for when in conditions]
    strict = [App(rule, strict=strict) for rule in rules for strict in (False, True)]
    return [App(), App(api_keys=["another"]), Replay([RECORDED]), Replay([RECORDED], relay=True), *strict]


@given(SECRETS, PLACED)
@example("a-plain-password-1", (HEADERS[-1], "authorization"))
@example("a-plain-password-1", (HEADERS[0], "x-api-key"))
@example("a-plain-password-1", (HEADERS[2], "x-goog-api-key"))
@example("a-plain-password-1", (URLS[2], "key"))
def test_no_secret_reaches_the_journal_the_log_or_a_reply(secret: str, placed: tuple[Place, str]) -> None:
    place, name = placed
    request = place(name, secret)
    for app in applications(name, secret):
        shown = shown_by(app, request)
        for text in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}:
            assert text not in shown


def shown_by(app: Application, request: HttpRequest) -> str:
    """Everything that a server shows of a request: the entry, the reply, what is logged, and the view of the journal."""
    outcome, entry = app.handle(request)
    texts = [request.target.shown, entry.path, str(entry.explanation)]
    if not isinstance(outcome, msgspec.Struct) or hasattr(outcome, "plan"):
        texts += [outcome.plan.body.decode(), str(outcome.plan.headers), str(outcome.explanation)]  # type: ignore[union-attr] # a Response
    session = f"/s/{request.target.session}" if request.target.session else ""
    view = handled(app, HttpRequest("GET", f"{session}/_fakellm/journal"))[0].plan.body.decode()
    again = handled(app, HttpRequest("GET", f"{session}/_fakellm/journal"))[0].plan.body.decode()
    assert view == again
    assert bool(json.loads(view)["entries"]) != request.target.control
    return "\n".join([*texts, view])


def test_a_log_and_what_a_client_gets(caplog: pytest.LogCaptureFixture) -> None:
    """Over HTTP: the path of a refusal, a key in a condition that does not match, and a wrong key."""
    rules = {"rules": [{"when": {"headers": {"authorization": "Bearer the-right-key-1"}}, "reply": {}}]}
    with fakellm.serve(rules, strict=True) as server:
        replies = [
            post(f"{server.url}{path}", chat(), **headers).text
            for path in (CHAT, f"{CHAT}?api-key=in-the-url-1", "/v1/nowhere?key=in-the-url-1&a=b")
            for headers in ({}, {"authorization": "Bearer the-wrong-key-1"}, {"api-key": "the-wrong-key-1"})
        ]
        shown = "\n".join([*replies, caplog.text, json.dumps([msgspec.to_builtins(each) for each in server.journal])])
    assert "headers.authorization: expected another secret" in shown
    assert "headers.authorization: expected a secret, got None" in shown
    assert "nowhere?key=REDACTEDREDA&a=b" in shown
    for secret in ("the-right-key-1", "the-wrong-key-1", "in-the-url-1"):
        assert secret not in shown


@pytest.mark.parametrize("key", ["short", "a", "twelve-chars", "thirteen-char", "sk-" + "a1" * 20])
def test_of_a_wrong_key_few_characters_are_shown(key: str, caplog: pytest.LogCaptureFixture) -> None:
    with fakellm.serve(api_key="right") as server:
        reply = post(server.base_url + "/chat/completions", chat(), authorization=f"Bearer {key}")
    assert reply.status_code == 401
    shown = reply.json()["error"]["message"].partition("provided: ")[2].partition(".")[0]
    assert len(shown) == len(key)
    assert key == "a" or "*" in shown
    assert key == "a" or key not in caplog.text


def test_an_error_of_the_server_itself_shows_no_query(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(App):
        def handle(self, request: HttpRequest) -> Any:
            raise ZeroDivisionError

    with Hosted(Broken()) as server:
        reply = post(f"{server.url}{CHAT}?key=in-the-url-1", chat())
    assert reply.status_code == 500
    assert "in-the-url-1" not in caplog.text + reply.text
    assert "?key=REDACTED" in caplog.text


VALUES = st.recursive(
    st.none() | st.floats(allow_nan=False) | st.text() | st.sampled_from(["sk-0123456789-abcdefgh", "a=b&key=c", "\\"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "key", "password", '"', "b\\"]), inner)
    ),
    max_leaves=8,
)


@given(VALUES, st.booleans())
def test_json_without_its_secrets_is_json_of_the_same_form(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "backslashreplace")
    found = redacted_json(text)
    json.loads(found)
    assert len(found) >= len(text)
    assert redacted_json(found) == found


@given(st.text("ab ", max_size=200))
def test_a_value_that_is_cut_shows_no_start_of_a_key(before: str) -> None:
    key = "sk-" + "0a1b2c3d" * 5
    assert key[:8] not in shortened(f"{before} {key} and more")


def test_only_what_is_secret_is_overwritten_in_a_value() -> None:
    assert shortened("a plain text") == "'a plain text'"
    assert shortened("x" * 1_000) == "'" + "x" * (SHOWN - 1) + "… (1,002 characters)"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer sk-a1b2c3d4e5f6g7h8", "Bearer sk-a1b2c*******g7h8"),
        ("Authorization", "k1secretsecret", "k1secret**cret"),
        ("Authorization", "sk-a1b2c3d4e5f6g7h8 k2", "REDACTEDREDACTEDRED k2"),
        ("Proxy-Authorization", 'Digest username="me", response="6629fae4"', "Digest " + "*" * 34),
        ("X-Api-Key", "k1secretsecret k2secretsecret", "*" * 29),
        ("Cookie", "session=SECRET; csrf=OTHER", "*" * 26),
        ("Cookie", "session=SECRET", "*" * 14),
    ],
)
def test_all_of_a_header_is_masked_but_the_scheme_of_authorization(name: str, value: str, shown: str) -> None:
    app = App()
    handled(app, asked(headers={name: value}))
    (entry,) = json.loads(handled(app, HttpRequest("GET", "/_fakellm/journal"))[0].plan.body)["entries"]
    assert entry["headers"][name.lower()] == shown
