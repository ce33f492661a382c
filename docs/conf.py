"""The documentation site: `sphinx-build -W docs site` writes it, and fails at a link or an anchor that leads nowhere.

The pages are plain Markdown, which GitHub shows too: none of them uses what only Sphinx has. So the menu is here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

project = "fakellm"
html_title = "fakellm"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4  # the anchors that GitHub makes of headings
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False

MENU = {
    "Tutorials": ("tutorials", "test-an-app serve-any-language fuzz-a-client"),
    "How-to": (
        "how-to",
        "fail-then-succeed slow-stream assert-a-tool-result property-tests record-and-replay production python unittest"
        " javascript go docker github-actions editors drivers coming-from troubleshooting",
    ),
    "Reference": (
        "reference",
        "testing journal verdict scenarios stream framing timing faults generated server page live routes responses"
        " messages gemini ollama recordings fuzzing grammar bugs quotas capacity operation limits security"
        " compatibility keys commands python",
    ),
    "Explanation": (
        "explanation",
        "the-wire determinism how-the-fuzzer-works clients comparison limitations",
    ),
}
"""The folder and the pages of each part, in order. A page of a folder that is not named comes last in its part."""


def _without_links_out(app: Any, name: str, source: list[str]) -> None:
    """Leaves only the text of links to files of the repository that are not in the site."""

    def inside(link: re.Match[str]) -> str:
        target = Path(app.srcdir, name).parent / link[2]
        return link[0] if target.resolve().is_relative_to(app.srcdir) else link[1]

    source[0] = re.sub(r"\[([^\]]*)\]\((\.\./[^)#]*)[^)]*\)", inside, source[0])


def _with_menu(app: Any, name: str, source: list[str]) -> None:
    """Adds the menu to the first page, where Sphinx looks for it."""
    if name != "index":
        return
    for title, (folder, names) in MENU.items():
        pages = [f"{folder}/{each}" for each in names.split()]
        pages += sorted(page for page in app.env.found_docs - set(pages) if page.startswith(f"{folder}/"))
        source[0] += "\n".join(["\n", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```"])


def setup(app: Any) -> None:
    app.connect("source-read", _without_links_out)
    app.connect("source-read", _with_menu)
