"""The APIs whose requests rules answer, and the type that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fakellm.apis.chat.api import CHAT as CHAT
from fakellm.apis.protocol import Api

Route = Api[Any]
"""Any API, whatever the type of its habits."""

APIS: Mapping[str, Route] = {"chat/completions": CHAT, "chat": CHAT}
"""The APIs that recordings are imported from, by path without the base path; the last one is Writer's path for chat."""
