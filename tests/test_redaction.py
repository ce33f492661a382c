"""Secrets under invented names, in invented places and spellings, never stay in an interaction; the rest does."""

from __future__ import annotations

import gzip
import html
import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from urllib.parse import quote, quote_plus

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from fakellm.base.secrets import search as secret_search
from fakellm.base.secrets.names import secret_field, secret_header, secret_parameter
from fakellm.base.secrets.search import cover
from fakellm.cli import main
from fakellm.importing.importer import imported
from fakellm.recordings import content_codings
from fakellm.recordings.capture import readable
from fakellm.recordings.cassette import Cassette, Interaction, RecordedRequest
from fakellm.recordings.formats import fakellm_jsonl
from fakellm.recordings.redaction import UnsearchableError, redacted
from fakellm.wire.plan import Frame, Plan
from tests.conftest import chat

SECRET = "sk-0123456789-abcdefgh"
SECRETS = st.text("abcdefXYZ0123456789_-/+.~", min_size=14, max_size=40).filter(lambda text: re.search("[0-9]", text))

STYLES: Sequence[Callable[[list[str]], str]] = (
    "_".join,
    "-".join,
    ".".join,
    lambda words: "-".join(word.capitalize() for word in words),
    lambda words: words[0] + "".join(word.capitalize() for word in words[1:]),
    lambda words: "_".join(words).upper(),
)
BEFORE = st.lists(st.sampled_from(["x", "my", "acme", "ms", "goog", "amz", "openai", "upstream", "v2"]), max_size=3)
AFTER = st.sampled_from([[], ["2"], ["value"], ["hash"], ["old"], ["base64"]])
EVERYWHERE = [
    *(["api", "key"], ["access", "token"], ["client", "secret"], ["password"], ["authorization"], ["credential"]),
    *(["private", "key"], ["refresh", "token"], ["passphrase"], ["subscription", "key"], ["apikey"], ["jwt"]),
    *(["session", "token"], ["authtoken"], ["secret", "access", "key"], ["cookie"], ["bearer"]),
]
IN_URLS = [*EVERYWHERE, ["key"], ["token"], ["sig"], ["signature"], ["code"], ["auth"], ["security", "token"]]
IN_HEADERS = [
    *(end for end in IN_URLS if end != ["code"]),
    ["organization"],
    ["organization", "id"],
    ["project"],
    ["session", "id"],
    ["csrf"],
    ["assertion"],
]


def names(ends: Sequence[list[str]]) -> st.SearchStrategy[str]:
    """Names of secrets, in any style, as nobody has listed them."""
    return st.builds(
        lambda before, end, after, style: style([*before, *end, *after]),
        BEFORE,
        st.sampled_from(ends),
        AFTER,
        st.sampled_from(STYLES),
    )


def in_json(secret: str, name: str, depth: int) -> str:
    text = json.dumps({"a": [{name: secret}], "b": "c"})
    for _ in range(depth):
        text = json.dumps({"arguments": text})
    return text


def request(headers: dict[str, str], url: str = "https://h/v1/x", body: str = "") -> RecordedRequest:
    return RecordedRequest("POST", url, tuple(headers.items()), body.encode())


HEADERS: Sequence[Callable[[str, str], RecordedRequest]] = (
    lambda name, secret: request({name: secret}),
    lambda name, secret: request({name: f"Bearer {secret}"}),
    lambda _, secret: request({"Authorization": "Basic " + b64encode(f"user:{secret}".encode()).decode()}),
    lambda _, secret: request({"Proxy-Authorization": f'Digest username="u", response="{secret}"'}),
    lambda _, secret: request({"Cookie": f"a=b; session={quote(secret, safe='')}"}),
)
URLS: Sequence[Callable[[str, str], RecordedRequest]] = (
    lambda name, secret: request({}, f"https://h/v1/x?a=b&{name}={quote(secret, safe='')}&c=d"),
    lambda name, secret: request({}, f"/v1/x?{name.replace('_', '%5F')}={quote_plus(secret)}"),
    lambda _, secret: request({}, f"https://user:{quote(secret, safe='')}@h/v1"),
    lambda name, secret: request({"Referer": f"https://h/?{name}={quote(secret, safe='')}"}),
)
BODIES: Sequence[Callable[[str, str], RecordedRequest]] = (
    lambda name, secret: request({}, body=in_json(secret, name, 0)),
    lambda name, secret: request({}, body=in_json(secret, name, 1)),
    lambda name, secret: request({}, body=in_json(secret, name, 2)),
    lambda name, secret: request({}, body=f"{name}={quote(secret, safe='')}&a=b"),
    lambda name, secret: request({}, body=f"a=b&{name}={quote(secret, safe='')}"),
    lambda name, secret: request(
        {}, body=f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{secret}\r\n--x--'
    ),
)
PLACED = st.one_of(
    st.tuples(st.sampled_from(HEADERS), names(IN_HEADERS)),
    st.tuples(st.sampled_from(URLS), names(IN_URLS)),
    st.tuples(st.sampled_from(BODIES), names(EVERYWHERE)),
)

SPELLINGS: Sequence[Callable[[str], str]] = (
    str,
    quote,
    lambda secret: quote(secret, safe=""),
    lambda secret: "".join(f"%{ord(character):02x}" for character in secret),
    lambda secret: quote(quote(secret, safe=""), safe=""),
    lambda secret: json.dumps(secret).replace("/", "\\/"),
    lambda secret: "".join(f"\\u{ord(character):04x}" for character in secret),
    lambda secret: "".join(f"\\u{ord(c):04X}" if n % 2 else c for n, c in enumerate(secret)),
    lambda secret: json.dumps("".join(f"\\u{ord(character):04x}" for character in secret)),
    lambda secret: html.escape("".join(f"&#{ord(character)};" for character in secret)),
    lambda secret: "".join(f"&#x{ord(character):x};" for character in secret),
    lambda secret: secret.encode().hex(),
    lambda secret: secret.encode().hex().upper(),
)
WRAPPED: Sequence[Callable[[str], str]] = (
    lambda text: f"Incorrect API key provided: {text}.",
    lambda text: json.dumps({"error": {"message": f"{text} is wrong"}}),
    lambda text: f"data: {text}\n\n",
)


@given(SECRETS, PLACED, st.sampled_from(SPELLINGS), st.sampled_from(WRAPPED), st.integers(0, 99))
def test_no_secret_stays_in_any_place_or_spelling(
    secret: str,
    placed: tuple[Callable[[str, str], RecordedRequest], str],
    spelling: Callable[[str], str],
    wrapped: Callable[[str], str],
    cut: int,
) -> None:
    place, name = placed
    body = wrapped(spelling(secret)).encode()
    headers = (("X-Echo", spelling(secret)), ("Location", f"/x?key={spelling(secret)}"))
    answer = Plan(400, headers, (Frame(body[:cut]), Frame(body[cut:])), "chunked", trailers=headers)
    before = Interaction(place(name, secret), answer)
    after = redacted(before)
    kept = fakellm_jsonl.dump_line(after).decode()
    for text in {secret, spelling(secret), json.dumps(spelling(secret))[1:-1], b64encode(b"user:" + secret.encode())}:
        assert str(text) not in kept
        assert str(text).encode() not in after.response.body
        assert str(text).encode() not in after.request.body
    assert [len(frame.data) for frame in after.response.frames] == [len(frame.data) for frame in before.response.frames]
    assert len(after.request.body) == len(before.request.body)
    assert redacted(after) == after


@given(SECRETS, st.text("abc", max_size=4), st.text("abc", max_size=4), st.sampled_from([b64encode, urlsafe_b64encode]))
def test_no_secret_stays_within_base64(secret: str, before: str, after: str, encode: Callable[[bytes], bytes]) -> None:
    body = b'{"data":"%b"}' % encode((before + secret + after).encode())
    left = redacted(Interaction(request({"api-key": secret}), Plan(200, (), (Frame(body),)))).response.body
    json.loads(left)
    decoded = b64decode(json.loads(left)["data"].replace("-", "+").replace("_", "/"))
    assert secret[2:-2].encode() not in decoded


@given(names(IN_HEADERS), names(IN_URLS), names(EVERYWHERE))
@example("x-honeycomb-team", "X-Amz-Signature", "PASSWORD")
@example("x-hub-signature-256", "AWSAccessKeyId", "connectionString")
@example("cf-access-jwt-assertion", "SAMLResponse", "clientsecret")
def test_names_of_secrets(header: str, parameter: str, field: str) -> None:
    assert secret_header(header)
    assert secret_parameter(parameter)
    assert secret_field(field)


@pytest.mark.parametrize(
    "name",
    [
        *("token", "tokens", "max_tokens", "prompt_cache_key", "next_page_token", "bos_token", "key", "index", "id"),
        *(
            "reasoning_tokens",
            "signature",
            "encrypted_content",
            "session",
            "code",
            "author",
            "secretary",
            "keys",
            "model",
        ),
        *("tool_call_id", "keyword", "pad_token_id", "idempotency_key", "authority", "project", "stop_sequence", "pwd"),
    ],
)
def test_fields_that_are_no_secrets(name: str) -> None:
    assert not secret_field(name)
    body = json.dumps({name: "plain text", "deep": json.dumps({name: "plain text"})}).encode()
    plain = Interaction(RecordedRequest("POST", "/v1", (), body), Plan(200, (), (Frame(body),)))
    assert redacted(plain) == plain


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Access-Control-Allow-Credentials",
            "x-ratelimit-limit-project",
            "ETag",
            "Keep-Alive",
            "Via",
            "WWW-Authenticate",
        ),
        *("x-request-id", "Content-Security-Policy", "openai-processing-ms", "x-token-limit", "Age", "x-author"),
    ],
)
def test_headers_that_are_no_secrets(name: str) -> None:
    assert not secret_header(name)


@pytest.mark.parametrize(
    "secret",
    [
        *("sk-ant-api03-0123456789abcdefg", "gsk_0123456789abcdefghij", "ghp_0123456789abcdefghijklmnopqrstuvwxyz"),
        *("AKIAIOSFODNN7EXAMPLE", "AIza01234567890123456789012345678901234", "hf_0123456789abcdefghijklmnopqrstuvwx"),
        *("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123", "xoxb-0123456789-abcdefghij"),
        "-----BEGIN RSA PRIVATE KEY-----\\nMIIEpAIBAAKCAQEA1\\n",
    ],
)
@pytest.mark.parametrize("around", ["{}", "a {} b", '"{}"', "x\n{}\n", "task={}"])
def test_keys_are_known_by_their_form(secret: str, around: str) -> None:
    assert secret not in cover(())(around.format(secret))


@pytest.mark.parametrize(
    "part",
    ["sk-", "sk-sk-1", '"password":"', '\\"key\\":\\"', "%25", "eyJa.", "&token=", "://a:", "Bearer ", "\\\\", "x"],
)
def test_ten_times_the_text_takes_ten_times_as_long(part: str) -> None:
    covered = cover({"sk-proj-abcdefgh0123456789"})

    def cost(size: int) -> float:
        text, best = part * (size // len(part)), float("inf")
        for _ in range(3):
            start = process_time()
            covered(text)
            best = min(best, process_time() - start)
        return best

    assert cost(200_000) < 50 * cost(20_000)  # a quadratic search takes a hundred times as long


ESCAPED = st.lists(
    st.sampled_from(["\\", "%", "&", "u0041", "41", "#65;", "amp;", '"', "/", "x41", "a", "-" * 7]), max_size=60
)


@given(ESCAPED)
def test_escapes_are_read_alike_in_windows(parts: list[str]) -> None:
    text = "".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        whole = secret_search._plain(text)
        patch.setattr(secret_search, "_WINDOW", 8)
        assert secret_search._plain(text) == whole


@given(
    st.lists(
        st.sampled_from(
            [SECRET, quote(SECRET), "sk-", "a1" * 30, " ", "Bearer ", '"password":"', '"', "&key=", "\\u0041"]
        )
    )
)
def test_secrets_are_found_alike_in_windows(parts: list[str]) -> None:
    text = "".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        whole = cover({SECRET})(text)
        patch.setattr(secret_search, "_WINDOW", 10)
        patch.setattr(secret_search, "_BEYOND", 200)
        assert cover({SECRET})(text) == whole


def test_many_secrets_are_found_too() -> None:
    cookies = "; ".join(f"name{number}={number:08}value" for number in range(2_000))
    body = " ".join(f"{number:08}value" for number in range(2_000)).encode()
    left = redacted(Interaction(request({"Cookie": cookies}), Plan(200, (), (Frame(body),)))).response.body
    assert not re.search(rb"[0-9]", left)


# Compressed bodies


def answered(body: bytes, coding: str = "gzip", **fields: object) -> Interaction:
    headers = (("Content-Encoding", coding),)
    plan = Plan(200, headers, (Frame(body),), "chunked", **fields)  # type: ignore[arg-type] # only `end`
    return Interaction(request({"Authorization": f"Bearer {SECRET}"}), readable(plan))


def test_a_compressed_body_is_searched_for_secrets() -> None:
    text = f"You are {SECRET}".encode()
    for body in (gzip.compress(text), gzip.compress(text[:12]) + gzip.compress(text[12:])):
        assert redacted(answered(body)).response.body == b"You are REDACTEDREDACTEDREDACT"


def test_a_compressed_body_that_broke_off_is_searched_as_far_as_it_came() -> None:
    text = f"You are {SECRET}".encode() + bytes(range(256)) * 40
    plan = Plan(
        200,
        (("Content-Encoding", "gzip"), ("Content-Length", "9999")),
        (Frame(gzip.compress(text)[:200]),),
        end="close",
    )
    left = redacted(Interaction(request({"Authorization": f"Bearer {SECRET}"}), readable(plan))).response
    assert left.body.startswith(b"You are REDACTED")
    assert (left.headers, left.end, left.delimited) == ((), "close", "chunked")


@pytest.mark.parametrize(
    ("body", "coding"), [(gzip.compress(b"a", mtime=0)[:-3], "gzip"), (b"\xff\x00", "x-odd"), (b"\xff", "br")]
)
def test_a_body_that_stays_compressed_is_refused(body: bytes, coding: str, tmp_path: Path) -> None:
    kept = answered(body, coding)
    with pytest.raises(UnsearchableError, match=f"its body in {coding} cannot be searched for secrets"):
        redacted(kept)
    chatted = Interaction(RecordedRequest("POST", "/v1/chat/completions", (), chat()), kept.response)
    scenario, (report,) = imported([Cassette("c", (chatted,))])
    assert (scenario.rules, report.outcome) == ((), "left out")
    file = tmp_path / "r.jsonl"
    file.write_bytes(fakellm_jsonl.dump(Cassette("r", (chatted,))))
    ended = CliRunner().invoke(main, ["export", str(file), "-o", str(tmp_path / "out")])
    assert ended.exit_code == 2
    assert "cannot be searched for secrets" in ended.output


def test_a_body_expands_to_the_limit_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_codings, "MOST_BYTES", 1_000)
    assert readable(answered(gzip.compress(bytes(1_000))).response).body == bytes(1_000)
    with pytest.raises(UnsearchableError):
        redacted(answered(gzip.compress(bytes(1_001))))
    with pytest.raises(UnsearchableError):
        redacted(answered(gzip.compress(bytes(600)) * 2))


def test_an_export_has_no_secret(tmp_path: Path) -> None:
    file, output = tmp_path / "r.jsonl", tmp_path / "out"
    kept = Interaction(request({"api-key": SECRET}, body=SECRET), Plan(200, (("Set-Cookie", "a=b"),), (Frame(b"{}"),)))
    file.write_bytes(fakellm_jsonl.dump(Cassette("r", (kept,))))
    for format_ in ("fakellm", "vcrpy", "har", "go-vcr"):
        ended = CliRunner().invoke(main, ["export", str(file), "--format", format_, "-o", str(output)])
        assert ended.exit_code == 0
        assert SECRET not in output.read_text()
        assert "a=b" not in output.read_text()
