"""Takes the pictures of `docs/reference/page.md`: `python -m docs.pictures.page`. Needs Playwright and Chromium.

The scenario, the requests and the size are fixed: the pictures differ only where the page does, and in the times.
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from playwright.sync_api import Page, sync_playwright

import fakellm

FOLDER = Path(__file__).parent

SCENARIO = """\
scenario: shop
rules:
- name: look up the order
  when: {user: order, turn: 1, tools: [find_order]}
  reply:
    content: Let me look that up.
    tool_calls: [{name: find_order, arguments: {number: 1842}}]
- name: report
  when: {result: {find_order: shipped}}
  reply: {content: "Your order has been shipped. It arrives on Thursday — at the latest on Friday."}
  stream: {split: words}
  timing: {first: 0.12, gap: 0.03}
- name: greeting
  when: {user: Hello, model: gpt-4o}
  reply: {content: Hello! What can I do for you?}
- name: busy
  when: {user: refund}
  reply: {content: You get your money back.}
  fault: {kind: status, status: 429, retry_after: 1, times: 1}
"""

TOOL = {
    "type": "function",
    "function": {
        "name": "find_order",
        "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
    },
}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


CALL = {"id": "call_1", "type": "function", "function": {"name": "find_order", "arguments": '{"number": 1842}'}}
CONVERSATION = [
    {"role": "system", "content": "You help the customers of a shop. Be brief."},
    user("Where is my order 1842?"),
    {"role": "assistant", "content": "Let me look that up.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": '{"state": "shipped", "arrives": "Thursday"}'},
]
REQUESTS = [
    {"model": "gpt-4o", "messages": [user("Hello")]},
    {"model": "gpt-4o", "messages": CONVERSATION[:2], "tools": [TOOL], "stream": True},
    {"model": "gpt-4o", "messages": CONVERSATION, "tools": [TOOL], "stream": True},
    {"model": "gpt-4o-mini", "messages": [user("I want a refund")]},
    {"model": "gpt-4o-mini", "messages": [user("I want a refund")]},
    {"model": "gpt-4o-mini", "messages": [user("Hello, do you ship to Norway?")], "stream": True},
]


def main(folder: Path = FOLDER, form: str = "webp") -> None:
    """Takes them all."""
    with fakellm.spawn(SCENARIO, strict=True) as server, sync_playwright() as playwright:
        for body in REQUESTS:
            send(server.base_url + "/chat/completions", body)
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width, height in ((1280, 760), (390, 760)):
                context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                page = context.new_page()
                for name, view in VIEWS.items():
                    page.goto(f"{server.url}/_fakellm/{view}")
                    page.reload()
                    page.locator("#count", has_text="6 requests").wait_for(state="attached")
                    if name == "rule":
                        mistake(page)
                    page.wait_for_timeout(400)
                    pictured = name in PICTURES and (width, scheme) == (1280, "light")
                    if form == "png" or pictured:
                        suffix = "" if form == "webp" else f"-{width}-{scheme}"
                        take(page, folder / f"{name}{suffix}.{form}", form)
                context.close()
        chromium.close()


VIEWS = {
    "list": "",
    "page": "#/requests/3/conversation/",
    "wire": "#/requests/3/wire/",
    "why": "#/requests/6/why/",
    "rule": "#/requests/6/rule/",
    "raw": "#/requests/3/raw/",
    "control": "#/control",
}
PICTURES = ("page", "wire", "rule")


def send(url: str, body: object) -> None:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        urlopen(request).read()
    except HTTPError as refused:
        refused.close()


def mistake(page: Page) -> None:
    """Types a mistake into the rule."""
    editor = page.get_by_role("textbox", name="The rule, in YAML")
    editor.wait_for()
    editor.fill(editor.input_value().replace("reply:", "replay:"))
    page.locator("li.problem").first.wait_for()


def take(page: Page, file: Path, form: str) -> None:
    if form == "png":
        page.screenshot(path=file)
        return
    picture = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": form, "quality": 80})
    file.write_bytes(base64.b64decode(picture["data"]))


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]), "png")  # all views, light and dark, wide and narrow: to look at
    else:
        main()
