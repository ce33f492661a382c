"""The dialects of the Messages API.

`anthropic` and `vertex` are as recorded from 2024 to 2026. No recording of the others was found; each is as users of
the server report it, and may differ in what nobody reported.
"""

from __future__ import annotations

from collections.abc import Mapping

from fakellm.apis.messages.dialect import Dialect
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Padding

_IDS = {
    "message": "msg_01",
    "tool_use": "toolu_01",
    "server_tool_use": "srvtoolu_01",
    "mcp_tool_use": "mcptoolu_01",
}

ANTHROPIC = Dialect(
    name="anthropic",
    usual=Variation(padding=(Padding(before=(2,)),), obfuscation=True, done=False, usage="both"),
    ids=_IDS,
)

VERTEX = Dialect(
    name="vertex",
    usual=Variation(
        padding=(Padding(before=(1,)),),
        obfuscation=True,
        done=False,
        key_order={
            "message": ("model", "id", "type", "role", "content", "stop_reason", "stop_sequence", "usage"),
            "usage": (*("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"),),
            "delta": ("stop_reason", "stop_sequence"),
            "delta_usage": ("output_tokens",),
        },
    ),
    ids={**_IDS, "message": "msg_vrtx_01", "tool_use": "toolu_vrtx_01"},
    version=False,
)

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (ANTHROPIC, VERTEX)}


def dialect_of(name: str | None) -> Dialect:
    """The dialect of this name; Anthropic's if none is named."""
    return DIALECTS[name or "anthropic"]
