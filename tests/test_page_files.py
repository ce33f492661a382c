"""The files of the page: small, served with headers that keep foreign content out, and without a way to parse HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import fakellm
from fakellm.server.hosting import Hosted
from fakellm.server.page.files import FOLDER, NAMES, PATHS
from fakellm.server.replay_app import Replay
from fakellm.testing.handle import Handle

MODULES = sorted(FOLDER.glob("*.js"))


@pytest.fixture(scope="module")
def server() -> Iterator[Handle]:
    with fakellm.serve() as running:
        yield running


def test_every_file_is_served_and_no_other() -> None:
    assert sorted(each.name for each in FOLDER.iterdir()) == sorted([*NAMES, "index.html"])


def test_all_together_stay_small() -> None:
    assert sum(each.stat().st_size for each in FOLDER.iterdir()) < 150_000
    assert all(len(each.read_text(encoding="utf-8").splitlines()) <= 300 for each in MODULES)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("session", ["", "/s/a%20b"])
def test_a_file_is_served_with_strict_headers(server: Handle, path: str, session: str) -> None:
    reply = httpx2.get(server.url + session + path)
    assert reply.status_code == 200
    assert reply.content == (FOLDER / PATHS[path]).read_bytes()
    policy = dict(each.split(" ", 1) for each in reply.headers["content-security-policy"].split("; "))
    own = dict.fromkeys(("script-src", "style-src", "connect-src", "img-src"), "'self'")
    nothing = dict.fromkeys(("default-src", "frame-ancestors", "base-uri", "form-action"), "'none'")
    assert policy == own | nothing
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cache-control"] == "no-cache"
    assert "access-control-allow-origin" not in reply.headers


def test_a_browser_that_has_a_file_does_not_get_it_again(server: Handle) -> None:
    with httpx2.Client() as browser:
        tag = browser.get(server.url + "/_fakellm/").headers["etag"]
        for sent, status in ((tag, 304), ('"another"', 200)):
            reply = browser.get(server.url + "/_fakellm/", headers={"If-None-Match": sent})
            assert (reply.status_code, reply.headers["etag"]) == (status, tag)


@pytest.mark.parametrize("session", ["", "/s/a%20b"])
def test_what_a_person_types_leads_to_the_page(server: Handle, session: str) -> None:
    reply = httpx2.get(f"{server.url}{session}/_fakellm", follow_redirects=True)
    assert (reply.status_code, reply.url.raw_path.decode()) == (200, f"{session}/_fakellm/")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"


def test_the_page_is_not_in_the_journal(server: Handle) -> None:
    httpx2.get(server.url + "/_fakellm/")
    assert len(server.journal) == 0


def test_a_replay_has_the_page_too() -> None:
    with Hosted(Replay([])) as hosted:
        assert httpx2.get(hosted.url + "/_fakellm/").status_code == 200


def test_a_server_may_have_no_page() -> None:
    with fakellm.serve(page=False) as server:
        for path in ("/_fakellm", *PATHS):
            reply = httpx2.get(server.url + path)
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "no_page")
        assert len(server.journal) == 0
    with fakellm.spawn(page=False) as server:
        assert httpx2.get(server.url + "/_fakellm/").status_code == 404


def test_a_file_that_is_not_there_is_refused(server: Handle) -> None:
    reply = httpx2.get(server.url + "/_fakellm/page/nothing.js")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_url")
    assert httpx2.post(server.url + "/_fakellm/").status_code == 405


HTML = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML\w*|srcdoc"
    r"|eval|Function)\b|javascript:|on\w+="
)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.name)
def test_no_module_makes_text_into_markup(file: Path) -> None:
    assert HTML.findall(re.sub(r"^//.*", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)) == []


@pytest.mark.parametrize("text", ["a.innerHTML = b", "x.insertAdjacentHTML('a', b)", "new Function(a)", 'onclick="a"'])
def test_what_makes_markup_is_found(text: str) -> None:
    assert HTML.search(text)


@pytest.mark.parametrize("file", [*MODULES, FOLDER / "index.html", FOLDER / "style.css"], ids=lambda file: file.name)
def test_a_file_fetches_nothing_from_elsewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"' )]+", text)) <= {"http://www.w3.org/2000/svg"}
    imported = re.findall(r'^import .* from "\./(.*)";$', text, re.MULTILINE)
    assert set(imported) <= set(NAMES)
    assert len(imported) == len(re.findall(r"^import ", text, re.MULTILINE))


@pytest.mark.parametrize("session", ["", "/s/a%20b"])
def test_a_browser_that_opens_the_root_is_led_to_the_page(server: Handle, session: str) -> None:
    root = f"{server.url}{session}/"
    reply = httpx2.get(root, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (reply.status_code, reply.headers["location"]) == (307, "_fakellm/")
    assert httpx2.get(f"{server.url}{session}/_fakellm/journal").json()["entries"] == []
    program = httpx2.get(root)
    assert program.status_code == 404
    assert "/_fakellm/" in program.text
