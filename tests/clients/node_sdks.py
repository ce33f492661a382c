"""The SDKs for Node: the program that runs each, what it calls errors, and the process that performs its tasks.

The programs are in `node/`, one for each package; their packages are installed in `node/node_modules`.
"""

from __future__ import annotations

import json
import subprocess
from typing import IO, Any, Literal, NamedTuple

import pytest

from tests.clients.driving import NODE
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "clients" / "node"

Errors = dict[int | Literal["stream"], str]
"""The classes that an SDK throws: by the status, and for an error within a stream."""

OPENAI: Errors = {
    400: "BadRequestError",
    401: "AuthenticationError",
    429: "RateLimitError",
    529: "InternalServerError",
    "stream": "APIError",
}
ANTHROPIC: Errors = {**OPENAI, 529: "OverloadedError"}


def errors(of_a_status: str, within_a_stream: str) -> Errors:
    return {400: of_a_status, 401: of_a_status, 429: of_a_status, 529: of_a_status, "stream": within_a_stream}


GOOGLE = errors("ApiError", "ApiError")
OLLAMA = errors("ResponseError", "Error")
AI_SDK = errors("APICallError", "StreamProviderError")
OLD_GOOGLE = errors("GoogleGenerativeAIFetchError", "GoogleGenerativeAIError")


class Sdk(NamedTuple):
    """An SDK and one of its APIs.

    aborted: the class that it throws when the program aborts a stream. refusal: what it reports of a refusal: the text,
    the refusal and the finish reason. waits: whether it retries after the time that the server asks for (True), after a
    time of its own (False) or never (None).
    """

    api: str
    errors: Errors
    aborted: str
    refusal: tuple[str, str, str]
    waits: bool | None


ABORT, NO = "APIUserAbortError", "I cannot."
SDKS = {
    "openai_chat": Sdk("chat", OPENAI, ABORT, ("", NO, "stop"), True),
    "openai_responses": Sdk("responses", OPENAI, ABORT, ("", NO, "completed"), True),
    "anthropic": Sdk("messages", ANTHROPIC, ABORT, (NO, "", "refusal"), True),
    "google": Sdk("gemini", GOOGLE, "DOMException", (NO, "", "SAFETY"), False),
    "google vertex": Sdk("gemini", GOOGLE, "DOMException", (NO, "", "SAFETY"), False),
    "ollama": Sdk("ollama", OLLAMA, "DOMException", (NO, "", "stop"), None),
    **{
        f"ai_sdk {provider}": Sdk(api, AI_SDK, "DOMException", (NO, "", "content-filter"), True)
        for provider, api in (
            ("openai-chat", "chat"),
            ("openai-compatible", "chat"),
            ("openai", "responses"),
            ("anthropic", "messages"),
            ("google", "gemini"),
        )
    },
    **{
        f"langchain {provider}": Sdk(api, classes, "DOMException", refusal, waits)
        for provider, api, classes, refusal, waits in (
            ("openai-chat", "chat", OPENAI, ("", NO, "stop"), False),
            ("openai", "responses", OPENAI, ("", NO, "completed"), False),
            ("anthropic", "messages", OPENAI, (NO, "", "refusal"), False),
            ("google", "gemini", OLD_GOOGLE, (NO, "", "SAFETY"), None),
            ("ollama", "ollama", OLLAMA, (NO, "", "stop"), None),
        )
    },
}
"""By the program in `node/` and its argument."""


def need_node() -> None:
    """Skips the test if Node or the SDKs are not installed."""
    for folder, path in (("tests/clients/node", FOLDER / "node_modules"), ("fakellm/drivers", NODE)):
        if not path.exists():
            pytest.skip(f"there is no {path.relative_to(ROOT)}: npm install --prefix {folder}")


class Program:
    """The program of an SDK, which performs one task after the other. The caller closes it."""

    def __init__(self, name: str) -> None:
        """Skips the test if Node or the SDKs are not installed."""
        need_node()
        self.name = name
        file, *arguments = name.split()
        command = [str(NODE / ".bin" / "node"), str(FOLDER / f"{file}.mjs"), *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")

    @property
    def sdk(self) -> Sdk:
        return SDKS[self.name]

    def perform(self, url: str, stream: bool, **task: Any) -> dict[str, Any]:
        """The result of a task: `answers`, or the error that was `thrown`; and `delays`.

        A task may have a `key`, `tools` with the `result` of each, a `schema`, `thinking`, a number of `retries`, and
        `cancel`, which aborts the stream at its first text.
        """
        request = {"prompt": "How warm is it in Oslo?", "stream": stream, "key": "any", "retries": 0, **task}
        case = {"id": 1, "base_url": url, "request": request, "timeout": 0}
        print(json.dumps(case), file=self._stdin, flush=True)
        result: dict[str, Any] = json.loads(self._stdout.readline())
        return result

    @property
    def _stdin(self) -> IO[str]:
        assert self._process.stdin
        return self._process.stdin

    @property
    def _stdout(self) -> IO[str]:
        assert self._process.stdout
        return self._process.stdout

    def close(self) -> None:
        self._process.communicate()  # closes its standard input, at which it ends
