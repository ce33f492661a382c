"""The replies in the collections of public recordings, as their indexes list them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fakellm.apis.route import HOMES
from tests.conftest import CORPUS, SURFACES

_OPERATIONS = (None, "create", "chat", "generate", "generateContent", "streamGenerateContent")
"""What an index calls a request for a reply; None: what the API is for."""


class RecordedReply(NamedTuple):
    """A recorded reply, and its number in its file, from 1. `exact`: whether the recorder has kept its bytes."""

    file: Path
    place: str
    number: int
    api: str
    provider: str
    stream: bool
    exact: bool


def _replies(root: Path) -> Iterator[RecordedReply]:
    """The replies of a collection, with the status 200, of APIs that are served."""
    index = root / "index.json"
    for entry in json.loads(index.read_text(encoding="utf-8"))["entries"] if index.exists() else ():
        for each in entry["exchanges"]:
            number, exact = each["i"] + 1, entry["fidelity"] in ("wire", "body")
            if each["api"] in HOMES and each.get("op") in _OPERATIONS and each.get("status", 200) == 200:
                file, place = root / entry["file"], f"{root.name}/{entry['file']}#{number}"
                yield RecordedReply(file, place, number, each["api"], each["provider"], each["stream"], exact)


REPLIES = [*_replies(CORPUS), *_replies(SURFACES)]
OF_CHAT = [each for each in REPLIES if each.api == "chat"]
OF_OTHERS = [each for each in REPLIES if each.api != "chat" and each.place.startswith(SURFACES.name)]
"""Those of the other APIs. The collection of chats has some of them too."""
