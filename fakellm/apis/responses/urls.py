"""Which paths belong to the Responses API, and the names of its dialects. Imports none of it.

https://platform.openai.com/docs/api-reference/responses
https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from fakellm.apis.base_paths import RESPONSES, pattern
from fakellm.apis.target import Target

DIALECTS = (*("openai", "azure", "chatgpt", "xai", "openrouter", "deepseek", "lmstudio", "copilot", "bedrock-mantle"),)
"""The names of the dialects; the first is the default."""

CREATE = "/v1/responses"
INPUT_TOKENS = f"{CREATE}/input_tokens"
COMPACT = f"{CREATE}/compact"
ONE = f"{CREATE}/{{id}}"
CANCEL = f"{ONE}/cancel"
INPUT_ITEMS = f"{ONE}/input_items"
CONVERSATIONS = "/v1/conversations"
CONVERSATION = f"{CONVERSATIONS}/{{id}}"
CONVERSATION_ITEMS = f"{CONVERSATION}/items"
CONVERSATION_ITEM = f"{CONVERSATION_ITEMS}/{{item}}"

REPLIES = (CREATE,)
ROUTES = (
    *(CREATE, INPUT_TOKENS, COMPACT, ONE, CANCEL, INPUT_ITEMS),
    *(CONVERSATIONS, CONVERSATION, CONVERSATION_ITEMS, CONVERSATION_ITEM),
)

_BASES = pattern(*RESPONSES)
_RESPONSES = re.compile(_BASES + r"/responses(?:/([^/]+)(/cancel|/input_items)?)?")
_CONVERSATIONS = re.compile(_BASES + r"/conversations(?:/([^/]+)(/items(?:/([^/]+))?)?)?")


def target(path: str) -> Target | None:
    """The target of a path; None if it is not one of this API's."""
    if found := _RESPONSES.fullmatch(path):
        name, rest = found[1], found[2] or ""
        if name in ("input_tokens", "compact") and not rest:
            return Target(f"{CREATE}/{name}", api="responses")
        if name is not None:
            return Target(ONE + rest, api="responses", id=unquote(name))
        return Target(CREATE, api="responses")
    if found := _CONVERSATIONS.fullmatch(path):
        name, rest = found[1], found[2] or ""
        if name is None:
            return Target(CONVERSATIONS, api="responses")
        if found[3] is not None:
            return Target(CONVERSATION_ITEM, api="responses", id=unquote(name), item=unquote(found[3]))
        return Target(CONVERSATION + rest, api="responses", id=unquote(name))
    return None
