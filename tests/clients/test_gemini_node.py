"""Google's SDK for Node against a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

import fakellm
from tests.conftest import ROOT

MODULES = ROOT / "fakellm" / "drivers"
pytestmark = pytest.mark.skipif(
    not (MODULES / "node_modules" / "@google" / "genai").exists() or not shutil.which("node"),
    reason="@google/genai is not installed: npm install --prefix fakellm/drivers",
)

ERROR = {"kind": "error", "frame": 1, "status": 503, "message": "Overloaded."}
TWO = {"reply": {"content": "One two"}, "stream": {"split": "words"}}
RULES: dict[str, Any] = {
    "rules": [
        {"when": {"user": "Hi"}, **TWO},
        {"when": {"user": "Add"}, "reply": {"tool_calls": [{"name": "add", "arguments": {"a": 2}, "id": "x"}]}},
        {"when": {"user": "Fail"}, "reply": {}, "fault": {"kind": "status", "status": 429}},
        {"when": {"user": "Break"}, **TWO, "fault": {**ERROR, "shape": "data"}},
        {"when": {"user": "Bare"}, **TWO, "fault": ERROR},
    ]
}
PROGRAM = """
import {GoogleGenAI} from "@google/genai";
const ai = new GoogleGenAI({...JSON.parse(process.argv[2]), httpOptions: {baseUrl: process.argv[1]}});
const model = "gemini-2.5-flash";
const read = async contents => {
  const texts = [];
  try {
    for await (const chunk of await ai.models.generateContentStream({model, contents})) texts.push(chunk.text);
  } catch (error) { texts.push(error.name); }
  return texts;
};
const whole = await ai.models.generateContent({model, contents: "Hi"});
const {functionCalls} = await ai.models.generateContent({model, contents: "Add"});
const failed = await ai.models.generateContent({model, contents: "Fail"}).catch(error => [error.name, error.status]);
const {totalTokens} = await ai.models.countTokens({model, contents: "Hi"});
console.log(JSON.stringify([whole.text, await read("Hi"), functionCalls, failed, await read("Break"), totalTokens,
  await read("Bare")]));
"""


@pytest.mark.parametrize(
    "options", [{"apiKey": "any"}, {"vertexai": True, "apiKey": "any"}], ids=["ai-studio", "express"]
)
def test_it_reads_replies_calls_errors_and_counts(options: dict[str, Any]) -> None:
    with fakellm.serve(RULES) as server:
        command = ["node", "--input-type=module", "-e", PROGRAM, server.url, json.dumps(options)]
        run = subprocess.run(command, cwd=MODULES, capture_output=True, text=True, check=True, timeout=60)
    text, streamed, calls, failed, broken, tokens, bare = json.loads(run.stdout)
    assert (text, streamed) == ("One two", ["One", " two"])
    assert calls == [{"name": "add", "args": {"a": 2}, "id": "x"}]
    assert failed == ["ApiError", 429]
    assert broken == ["One", "ApiError"]
    assert tokens == 4
    assert bare in (["One"], ["One", "ApiError"])  # it misses a bare error that arrives in one read with a frame
