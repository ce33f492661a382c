"""The APIs whose requests rules answer, and the type that they share."""

from __future__ import annotations

from typing import Any

from fakellm.apis.chat.api import CHAT as CHAT
from fakellm.apis.protocol import Api

Route = Api[Any]
"""An API, whatever its habits."""
