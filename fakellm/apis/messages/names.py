"""Names that the modules of this API share."""

from __future__ import annotations

NAME = "messages"
"""The key of this API in `own`."""
CITATIONS = f"own.{NAME}.citations"
"""Where a text block has its citations."""
PING = '{"type": "ping"}'
"""The data of a ping: the only event that Anthropic writes with a space and without padding."""
