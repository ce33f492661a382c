"""docs/reference/stream.md names every key of the `stream:` block and every dialect."""

from __future__ import annotations

import re

from fakellm.apis.gemini.stream_keys import GeminiKeys
from fakellm.apis.route import HOMES
from fakellm.apis.variation import Variation
from fakellm.apis.variation_blocks import Calls, Padding, Spelling
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reference" / "stream.md").read_text(encoding="utf-8")


def test_every_key_is_in_the_tables() -> None:
    rows = " ".join(re.findall(r"^\| ([^|]+) \|", TEXT, re.MULTILINE))
    keys = {key for block in (Variation, Padding, Calls, Spelling, GeminiKeys) for key in block.__struct_fields__}
    assert {key for key in keys if f"`{key}`" not in rows} == set()


def test_every_dialect_is_named() -> None:
    listed = TEXT[TEXT.index("## Dialects") :]
    rows = {
        row[1]: re.findall(r"`([a-z0-9-]+)`", row[2]) for row in re.finditer(r"^\| `(\w+)` \| (.+) \|$", listed, re.M)
    }
    assert rows == {name: sorted(home.dialects) for name, home in HOMES.items() if home.dialects}
