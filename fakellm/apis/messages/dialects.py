"""The dialects of the Messages API.

`anthropic`, `vertex` and `bedrock` are as recorded from 2024 to 2026. No recording of the others was found; each is as
users of the server report it, and may differ in what nobody reported.
"""

from __future__ import annotations

from collections.abc import Mapping

from fakellm.apis.messages.dialect import MessagesDialect
from fakellm.apis.messages.habits import Keys
from fakellm.apis.messages.stream_keys import MessagesKeys
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Padding
from fakellm.base.seed import HEX
from fakellm.wire.framing import Framing, Insert

_IDS = {
    "message": "msg_01",
    "tool_use": "toolu_01",
    "server_tool_use": "srvtoolu_01",
    "mcp_tool_use": "mcptoolu_01",
}

ANTHROPIC = MessagesDialect(
    name="anthropic",
    usual=Variation(padding=(Padding(before=(2,)),), obfuscation=True, done=False, usage="both"),
    ids=_IDS,
)

VERTEX = MessagesDialect(
    name="vertex",
    usual=Variation(
        padding=(Padding(before=(1,)),),
        obfuscation=True,
        done=False,
        messages=MessagesKeys(
            key_order={
                "message": ("model", "id", "type", "role", "content", "stop_reason", "stop_sequence", "usage"),
                "usage": (
                    *("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"),
                ),
                "delta": ("stop_reason", "stop_sequence"),
                "delta_usage": ("output_tokens",),
            }
        ),
    ),
    ids={**_IDS, "message": "msg_vrtx_01", "tool_use": "toolu_vrtx_01"},
)

BEDROCK = MessagesDialect(
    name="bedrock",
    usual=Variation(
        padding=0,
        obfuscation=False,
        done=False,
        messages=MessagesKeys(
            key_order={
                "message": ("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"),
                "usage": ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"),
                "delta": ("stop_reason", "stop_sequence"),
                "delta_usage": ("output_tokens",),
            }
        ),
    ),
    ids={**_IDS, "message": "msg_bdrk_01", "tool_use": "toolu_bdrk_01"},
    errors="message",
)

_COMPATIBLE: Keys = {
    "message": ("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"),
    "usage": ("input_tokens", "output_tokens"),
    "delta": ("stop_reason", "stop_sequence"),
    "delta_usage": ("input_tokens", "output_tokens", "cache_read_input_tokens"),
}
"""The keys of servers that repeat what Anthropic documented in 2024."""
_PLAIN = Variation(padding=0, obfuscation=False, done=False, messages=MessagesKeys(key_order=dict(_COMPATIBLE)))

ZAI = MessagesDialect(
    name="zai",
    usual=_PLAIN,
    ids={"message": "msg_", "tool_use": "call_"},
    alphabet=HEX,
    length=24,
    signature="none",
    start="zeros",
)
"""`message_start` has no counts: https://github.com/zai-org/GLM-5/issues/139"""

KIMI = MessagesDialect(
    name="kimi",
    usual=Variation(
        messages=MessagesKeys(key_order={"usage": ("input_tokens", "cache_read_input_tokens", "output_tokens")})
    ).over(_PLAIN),
    ids={"message": "msg_", "tool_use": "toolu_"},
    start="all",
)
"""The input of `message_start` includes what is cached, that of `message_delta` does not:
https://github.com/maximhq/bifrost/pull/5355"""

DEEPSEEK = MessagesDialect(
    name="deepseek",
    usual=_PLAIN,
    ids={"message": "", "tool_use": "call_00_"},
    signature="uuid",
    errors="flat",
)
"""Ids and signatures are UUIDs, and errors are OpenAI's: https://github.com/NousResearch/hermes-agent/pull/21048"""

MINIMAX = MessagesDialect(
    name="minimax",
    usual=Variation(calls=Calls(opening="piece")).over(_PLAIN),
    ids={"message": "", "tool_use": "call_function_"},
    alphabet=HEX,
    length=32,
)
"""Calls open with their whole input, as reported of several compatible servers:
https://github.com/langchain-ai/langchainjs/pull/9792"""

OPENROUTER = MessagesDialect(
    name="openrouter",
    usual=Variation(done=True, sse=Framing(insert=(Insert(before=(0,), comment="OPENROUTER PROCESSING"),))).over(
        _PLAIN
    ),
    ids={"message": "gen-", "tool_use": "toolu_01"},
)
"""Comments keep a stream alive, and `[DONE]` follows it: https://openrouter.ai/docs/api/reference/streaming"""

DIALECTS: Mapping[str, MessagesDialect] = {
    dialect.name: dialect for dialect in (ANTHROPIC, VERTEX, BEDROCK, DEEPSEEK, KIMI, MINIMAX, OPENROUTER, ZAI)
}


def dialect_of(name: str | None) -> MessagesDialect:
    """The dialect of this name; Anthropic's if none is named."""
    return DIALECTS[name or "anthropic"]
