"""The page in a real browser, against a real server that a real SDK uses."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import openai
import pytest

import fakellm
from fakellm.testing.handle import Handle
from tests.conftest import ROOT, chat

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page
else:
    pytest.importorskip("playwright.sync_api", reason="there is no Playwright: pip install playwright")

from playwright.sync_api import expect, sync_playwright

KEY = "sk-proj-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
RULES = """\
scenario: weather
rules:
- name: greeting
  when: {user: hello}
  reply: {content: Hello there.}
- name: forecast
  when: {user: weather, model: gpt-4o, tools: [lookup]}
  reply: {content: Sunny.}
"""
expect.set_options(timeout=20_000)
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. It lives as long as this file's tests: Playwright runs an event loop in their thread."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(20_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails its test for any error in its scripts, and for what its policy forbids."""
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    yield opened
    assert errors == []


@pytest.fixture
def server() -> Iterator[Handle]:
    with fakellm.serve(RULES, strict=True) as running:
        yield running


def ask(server: Handle, text: str, **options: Any) -> Any:
    """What OpenAI's SDK gets for a message."""
    with openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": text}]
        return client.chat.completions.create(**{"model": "gpt-4o", "messages": messages, **options})


def streamed(server: Handle, text: str) -> Iterator[str]:
    """The texts that OpenAI's SDK gets for a message, as they arrive."""
    with openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": text}]
        for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
            yield chunk.choices[0].delta.content or ""


def refused(server: Handle, text: str) -> None:
    with pytest.raises(openai.NotFoundError):
        ask(server, text)


def visit(page: Page, server: Handle, path: str = "") -> None:
    page.goto(f"{server.url}/_fakellm/{path}")
    expect(page.get_by_role("status").first).to_have_text("Live")


def rows(page: Page) -> Locator:
    return page.locator("#list").get_by_role("option")


def row(page: Page, text: str) -> Locator:
    return rows(page).filter(has_text=text)


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("tab", name=name)


def type_yaml(page: Page, change: Callable[[str], str]) -> None:
    editor = page.get_by_role("textbox", name="The rule, in YAML")
    expect(editor).not_to_have_value("")
    editor.fill(change(editor.input_value()))


def test_a_request_becomes_a_rule_in_four_clicks(page: Page, server: Handle) -> None:
    visit(page, server)
    refused(server, "Which day is it?")
    row(page, "Which day is it?").click()
    tab(page, "Make a rule").click()
    type_yaml(page, lambda text: re.sub(r"content: [^}]*", "content: It is Friday.", text))
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".result")).to_contain_text("It is Friday.")
    page.get_by_role("button", name="Apply to the session").click()
    expect(page.locator(".result")).to_contain_text("It is the first of 3 rules", ignore_case=True)
    assert ask(server, "Which day is it?").choices[0].message.content == "It is Friday."
    assert ask(server, "hello").choices[0].message.content == "Hello there."
    expect(row(page, "Which day is it?")).to_have_count(2)


def test_a_stepped_stream_is_released_frame_by_frame(page: Page, server: Handle) -> None:
    rule = {"reply": {"content": "one two three"}, "stream": {"split": "words"}, "timing": {"step": True}}
    server.load({"rules": [rule]})
    visit(page, server)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: "".join(streamed(server, "Count")))
        row(page, "Count").click()
        reply = page.locator(".message.reply")
        steps = page.get_by_role("button", name="Release the next frame")
        for text in ("one", "one two"):
            while text not in reply.inner_text():
                before = page.locator(".summary").inner_text()
                steps.click()
                expect(page.locator(".summary")).not_to_have_text(before, use_inner_text=True)
            assert "three" not in reply.inner_text()
        page.keyboard.press("N")
        expect(reply).to_contain_text("one two three")
        expect(reply).to_contain_text("finish: stop")
        assert reading.result(timeout=30) == "one two three"
    expect(steps).to_be_hidden()


HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\u202e\x07"


def test_what_clients_and_rules_send_stays_text(page: Page, server: Handle) -> None:
    rule = {"name": HOSTILE, "when": {"turn": 1}, "reply": {"content": HOSTILE, "reasoning": HOSTILE}}
    server.load({"rules": [rule]})
    tools: Any = [
        {"type": "function", "function": {"name": "f", "description": HOSTILE, "parameters": {"title": HOSTILE}}}
    ]
    ask(server, HOSTILE, model=HOSTILE, tools=tools)
    visit(page, server)
    rows(page).click()
    expect(page.locator(".message.reply")).to_contain_text("<script>window.hacked = 1</script>")
    expect(page.locator(".message.user")).to_contain_text("<script>window.hacked = 1</script>")
    for name in ("Wire", "Why", "Raw", "Make a rule"):
        tab(page, name).click()
        expect(page.locator("#panel")).to_contain_text("hacked" if name != "Make a rule" else "no problems")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#detail script, #detail img, #list script, #list img").count() == 0


def test_secrets_are_hidden_everywhere(page: Page, server: Handle) -> None:
    ask(server, f"hello, my key is {KEY}")
    visit(page, server)
    rows(page).click()
    for name in ("Conversation", "Wire", "Why", "Make a rule", "Raw"):
        tab(page, name).click()
        expect(page.locator("#panel")).not_to_be_empty()
        assert KEY not in page.content()
    assert KEY not in httpx2.get(server.url + "/_fakellm/requests/1/curl").text


def test_why_compares_each_rule_the_nearest_first(page: Page, server: Handle) -> None:
    refused(server, "What is the weather?")
    visit(page, server)
    row(page, "What is the weather?").click()
    expect(page.locator(".explanation")).to_contain_text("greeting")
    tab(page, "Why").click()
    rules = page.locator("article.rule")
    expect(rules).to_have_count(2)
    expect(page.locator("article.rule.answers")).to_have_count(0)
    server.on(user="weather").reply("Rain.")
    expect(page.locator("article.rule.answers")).to_have_count(1)  # it is shown again when the rules change


def test_errors_are_shown_on_their_line_while_typing(page: Page, server: Handle) -> None:
    refused(server, "Which day is it?")
    visit(page, server, "#/requests/1/rule/")
    type_yaml(page, lambda text: "rules:\n- when: {user: day}\n  replay: {content: Friday}\n")
    problem = page.locator("li.problem").first
    expect(problem).to_contain_text("Line 3")
    expect(problem).to_contain_text("reply")
    expect(page.locator(".gutter .bad").last).to_have_text(re.compile("3"))
    expect(page.get_by_role("button", name="Apply to the session")).to_be_disabled()
    type_yaml(page, lambda text: text.replace("replay", "reply"))
    expect(page.locator(".problems")).to_contain_text("1 rule, no problems.")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".result")).to_contain_text("Friday")


def test_the_wire_shows_every_byte(page: Page, server: Handle) -> None:
    server.load({"rules": [{"reply": {"content": "Grüße, 世界!"}, "stream": {"split": "words"}}]})
    list(streamed(server, "Hi"))
    visit(page, server, "#/requests/1/wire/")
    frames = page.locator("li.frame.sent")
    expect(frames).not_to_have_count(0)
    expect(frames.first.locator(".mark").first).to_have_text("LF")
    expect(frames.last).to_contain_text("data: [DONE]")
    expect(page.locator(".axis")).to_contain_text(re.compile(r"(\d+) of \1 frames sent, all at once"))


def test_filters_search_and_pause(page: Page, server: Handle) -> None:
    visit(page, server)
    ask(server, "hello")
    refused(server, "Who are you?")
    options = rows(page)
    expect(options).to_have_count(2)
    page.get_by_label("Show").select_option("Without a rule")
    expect(options).to_have_count(1)
    expect(options).to_contain_text("no rule")
    page.get_by_label("Show").select_option("All requests")
    page.get_by_label("Search").fill("greeting HELLO")
    expect(options).to_have_count(1)
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name="Pause").click()
    ask(server, "hello again")
    expect(page.locator("#count")).to_contain_text("paused, 1 new")
    expect(options).to_have_count(2)
    page.get_by_role("button", name="Continue").click()
    expect(options).to_have_count(3)


def test_each_session_can_be_looked_at_alone(page: Page, server: Handle) -> None:
    ask(server.session("a b"), "hello from a session")
    ask(server, "hello from the root")
    visit(page, server)
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Session", exact=True).select_option("a b")
    expect(rows(page)).to_have_count(1)
    row(page, "hello from a session").click()
    expect(page.locator(".message.reply")).to_contain_text("Hello there.")
    visit(page, server.session("a b"))
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_label("Session", exact=True)).to_be_hidden()


def test_a_session_that_is_gone_leaves_the_menu(page: Page, server: Handle) -> None:
    for name in ("a", "b", "c"):
        ask(server.session(name), "hello")
    visit(page, server)
    options = page.get_by_label("Session", exact=True).locator("option")
    expect(options).to_have_text(["All sessions", "a", "b", "c"])
    server.session("b").reset()
    expect(options).to_have_text(["All sessions", "a", "c"])


def test_keys(page: Page, server: Handle) -> None:
    for text in ("hello 1", "hello 2"):
        ask(server, text)
    visit(page, server)
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("j")
    expect(page.locator(".message.user")).to_contain_text("hello 1")
    page.get_by_role("listbox").press("ArrowDown")
    expect(page.locator(".message.user")).to_contain_text("hello 2")
    page.keyboard.press("k")
    expect(page.locator(".message.user")).to_contain_text("hello 1")
    page.keyboard.press("3")
    expect(tab(page, "Why")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("r")
    expect(tab(page, "Make a rule")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("tablist")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("2?")
    expect(page.get_by_label("Search")).to_have_value("2?")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.get_by_label("Single keys act").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Control")).to_have_count(0)


def test_control(page: Page, server: Handle) -> None:
    ask(server, "hello")
    visit(page, server, "#/control")
    page.get_by_role("button", name="Set the fault").click()
    expect(page.get_by_text("status is sent to the next 1 request.")).to_be_visible()
    with pytest.raises(openai.RateLimitError):
        ask(server, "hello")
    assert ask(server, "hello").choices[0].message.content == "Hello there."
    page.get_by_label("Delays are divided by").fill("4")
    page.get_by_role("button", name="Set the speed").click()
    expect(page.get_by_text("Speed 4")).to_be_visible()
    failure = (ROOT / "scenarios" / "broken-stream.yaml").read_text(encoding="utf-8")
    page.get_by_role("textbox", name="YAML to load").fill(failure)
    page.get_by_role("button", name="Put in front of the rules").click()
    expect(page.get_by_text("There are 3 rules now")).to_be_visible()
    with pytest.raises(openai.APIConnectionError):
        list(streamed(server, "anything"))
    page.get_by_role("button", name="Reset the session").click()
    expect(page.get_by_text("The session has its first scenario again")).to_be_visible()
    assert len(server.journal) == 0
    expect(rows(page)).to_have_count(0)


def test_a_server_with_recordings_offers_nothing_about_rules(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "recorded.jsonl"
    with fakellm.serve(RULES) as upstream, fakellm.record(upstream.base_url, file) as recorder:
        ask(recorder, "hello")
    with fakellm.replay(file) as replay:
        visit(page, replay)
        expect(page.get_by_text("Make a rule")).to_have_count(0)
        ask(replay, "hello")
        row(page, "hello").click()
        expect(page.get_by_role("tab")).to_have_text(["Conversation", "Wire", "Raw"])
        expect(page.get_by_text("Hello there.")).to_be_visible()
        page.keyboard.press("r")
        page.keyboard.press("3")
        expect(tab(page, "Raw")).to_have_attribute("aria-selected", "true")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Conversation, Wire, Raw")
        page.get_by_role("button", name="Close").click()
        visit(page, replay, "#/control")
        expect(page.get_by_role("heading", name="Speed")).to_be_visible()
        for name in ("Rules", "Fault for the next requests"):
            expect(page.get_by_role("heading", name=name)).to_have_count(0)


def test_a_server_that_has_lost_its_redis_says_so_in_place_of_the_fault(page: Page, server: Handle) -> None:
    message = "This request needs the state that this server shares with others in Redis, which cannot be reached now."
    lost = {"error": {"message": message, "code": "state_unavailable"}}
    page.route("**/_fakellm/fault", lambda route: route.fulfill(status=503, json=lost))
    visit(page, server, "#/control")
    expect(page.get_by_text(message)).to_be_visible()
    expect(page.get_by_role("button", name="Set the fault")).to_have_count(0)
    expect(page.get_by_role("button", name="Replace the scenario")).to_be_visible()


def test_a_rule_is_saved_only_in_a_server_for_editing(page: Page, server: Handle, tmp_path: Path) -> None:
    refused(server, "Which day is it?")
    visit(page, server, "#/requests/1/rule/")
    expect(page.get_by_role("button", name="Apply to the session")).to_be_visible()
    expect(page.get_by_role("button", name="Save to")).to_have_count(0)
    file = tmp_path / "weather.yaml"
    file.write_text("# Mine.\n" + RULES, encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text("rules: []\n", encoding="utf-8")
    with command(file, other, "--edit", "--strict") as edited:
        refused(edited, "Which day is it?")
        visit(page, edited, "#/requests/1/rule/")
        type_yaml(page, lambda text: re.sub(r"content: [^}]*", "content: It is Friday.", text))
        expect(page.get_by_role("button", name="Save to")).to_have_count(2)
        page.get_by_role("button", name="Save to weather.yaml").click()
        page.get_by_role("button", name="Save weather.yaml").click()
        expect(page.get_by_role("dialog")).to_contain_text("Saved to weather.yaml")
        expect(rows(page)).to_have_count(0)
        expect(page.get_by_role("dialog")).to_be_visible()
    saved = file.read_text(encoding="utf-8")
    assert saved.startswith("# Mine.\nscenario: weather\nrules:\n- ")
    assert [rule.reply.content for rule in fakellm.load(saved).rules if rule.reply] == [
        "It is Friday.",
        "Hello there.",
        "Sunny.",
    ]


@contextmanager
def command(*words: str | Path) -> Iterator[Handle]:
    """`fakellm serve` with these words, in a process of its own."""
    line = [
        sys.executable,
        "-m",
        "fakellm",
        "serve",
        "--port",
        "0",
        "--ready",
        "json",
        "--watch-stdin",
        *map(str, words),
    ]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        try:
            yield Handle(json.loads(process.stdout.readline())["url"])
        finally:
            process.stdin.close()
            process.wait(timeout=30)


def test_a_token_is_exchanged_for_a_cookie(page: Page) -> None:
    with fakellm.serve(RULES, control_token="correct-horse") as server:
        ask(server, "hello")
        page.goto(server.url + "/_fakellm/")
        dialog = page.get_by_role("dialog", name="Control token")
        dialog.get_by_role("textbox", name="Token").fill("wrong")
        dialog.get_by_role("button", name="Continue").click()
        expect(dialog).to_contain_text("This is not the token")
        assert rows(page).count() == 0
        dialog.get_by_role("textbox", name="Token").fill("correct-horse")
        dialog.get_by_role("button", name="Continue").click()
        row(page, "hello").click()
        expect(page.locator(".message.reply")).to_contain_text("Hello there.")
        assert page.evaluate("document.cookie") == ""
        [cookie] = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert "correct-horse" not in cookie["value"]
        page.reload()
        expect(row(page, "hello")).to_have_count(1)


@contextmanager
def other_origin() -> Iterator[str]:
    """The URL of another page on this machine, which may do what it likes."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>other</title>")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{other.server_address[1]}/"
        finally:
            other.shutdown()


ATTACK = """async ([url, methods]) => {
  const found = [];
  for (const [method, path] of methods)
    for (const mode of ["cors", "no-cors"]) {
      const options = { method, mode, credentials: "include", body: method === "GET" ? undefined : "rules: []" };
      const text = await fetch(url + path, options).then((response) => response.text(), () => "");
      if (text) found.push(`${method} ${path} ${mode}: ${text}`);
    }
  await new Promise((resolve) => {
    const source = new EventSource(url + "/_fakellm/events", { withCredentials: true });
    source.onmessage = (event) => found.push(event.data);
    source.onerror = () => resolve(source.close());
    source.onopen = () => resolve(found.push("events"));
  });
  for (const name of ["script", "iframe", "img"])
    await new Promise((resolve) => {
      const element = document.createElement(name);
      element.onload = resolve;
      element.onerror = resolve;
      element.src = url + "/_fakellm/";
      document.body.append(element);
    });
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: url + "/_fakellm/reset", target: "elsewhere" });
  document.body.append(form);
  form.submit();
  return found;
}"""


def test_a_page_of_another_origin_can_neither_read_nor_change_anything(context: BrowserContext) -> None:
    from fakellm.server.scenario_app import ROUTES

    routes = [(method, path) for path, methods in ROUTES.items() for method in methods if path.startswith("/_fakellm/")]
    routes = [(method, path) for method, path in routes if path != "/_fakellm/events"]
    with fakellm.serve(RULES, control_token="correct-horse") as server, other_origin() as url:
        ask(server, "hello")
        mine = context.new_page()  # its cookie is of the same site: the port does not count
        mine.goto(server.url + "/_fakellm/")
        mine.get_by_role("textbox", name="Token").fill("correct-horse")
        mine.get_by_role("button", name="Continue").click()
        expect(row(mine, "hello")).to_have_count(1)
        page = context.new_page()
        page.goto(url)
        with page.expect_popup() as popup:
            assert page.evaluate(ATTACK, [server.url, routes]) == []
        popup.value.wait_for_load_state()
        assert "origin_not_allowed" in popup.value.content()
        assert page.frames[-1].evaluate("document.documentElement.innerText").find("fakellm") == -1
        assert len(server.journal) == 1
        assert len(server._call("GET", "/_fakellm/scenario", "rules")["rules"]) == 2


def many(server: Handle, count: int) -> None:
    """Sends many requests over one connection, a hundred at a time."""
    address = urlsplit(server.url)
    body = chat()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        for _ in range(count // 100):
            connection.sendall(request * 100)
            received = b""
            while received.count(b"HTTP/1.1 200") < 100:
                received += connection.recv(1_000_000)


def test_thousands_of_requests(page: Page) -> None:
    with fakellm.serve({"rules": [{"reply": {"content": "Hello."}}]}) as server:
        many(server, 2_000)
        visit(page, server)
        expect(page.locator("#count")).to_have_text("2,000 requests")
        expect(row(page, "#2000")).to_have_count(1)
        assert rows(page).count() < 60
        page.get_by_role("listbox").press("Home")
        expect(row(page, "#1").first).to_be_visible()
        expect(page.get_by_role("button", name="Newest")).to_be_visible()


def test_a_reply_of_70_kb(page: Page, server: Handle) -> None:
    text = "word " * 14_000
    server.load({"rules": [{"reply": {"content": text}, "stream": {"split": 40}}]})
    list(streamed(server, "Write"))
    visit(page, server, "#/requests/1/conversation/")
    expect(page.locator(".message.reply .end")).to_have_text("finish: stop")
    assert page.locator(".message.reply .part.text").text_content() == text
    tab(page, "Wire").click()
    expect(page.locator("li.frame.sent")).to_have_count(1_753)


VIEWS = ("", "#/control", *(f"#/requests/2/{name}/" for name in ("conversation", "wire", "why", "rule", "raw")))


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide-light", "narrow-dark"])
def test_nothing_is_inaccessible_or_cut_off(browser: Browser, server: Handle, size: Any, scheme: Any) -> None:
    ask(server, "hello")
    refused(server, "What is the weather? " + "x" * 300)
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    for view in VIEWS:
        visit(page, server, view)
        expect(page.locator("#panel > *" if "requests" in view else "#detail > *").first).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], view
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious] == [], view
    context.close()


def test_what_cannot_be_seen_is_marked(page: Page, server: Handle) -> None:
    visit(page, server)
    module = (
        "async (bytes) => (await import(location.origin + '/_fakellm/page/bytes.js')).pieces(Uint8Array.from(bytes))"
    )

    def marked(data: bytes) -> list[str]:
        return [each.get("text") or f"<{each['mark']}>" for each in page.evaluate(module, list(data))]

    text = "é\r\n\t\u200b世"
    assert marked(text.encode()) == ["é", "<CR>", "<LF>", "<TAB>", "<U+200B>", "世"]
    assert marked("世".encode()[:2]) == ["<E4>", "<B8>"]  # a cut inside a character
    assert marked("世".encode()[2:] + b"a") == ["<96>", "a"]
    assert marked(b"\xc0\x80\xed\xa0\x80") == ["<C0>", "<80>", "<ED>", "<A0>", "<80>"]  # what UTF-8 does not have


@pytest.mark.parametrize(
    "scenario",
    [
        "scenario: a\nrules:\n- reply: {content: old}\n",
        "rules:  # mine\n  # the first\n  - when: {user: b}\n    reply:\n      content: old\n",
        "scenario: a\nrules: []\n",
        "scenario: a\n",
        "",
    ],
)
def test_a_rule_goes_in_front_of_those_of_a_file(page: Page, server: Handle, scenario: str) -> None:
    visit(page, server)
    module = "async (texts) => (await import(location.origin + '/_fakellm/page/scenario_text.js')).withRules(...texts)"
    rule = "rules:\n- when: {user: a}\n  reply:\n    content: |\n      new\n\n      lines\n"
    saved = fakellm.load(page.evaluate(module, [scenario, rule]))
    contents = [each.reply.content for each in saved.rules if each.reply]
    assert contents == ["new\n\nlines\n", *(["old"] if "old" in scenario else [])]
    assert "#" not in scenario or all(
        each in page.evaluate(module, [scenario, rule]) for each in ("# mine", "# the first")
    )
