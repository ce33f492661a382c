"""The documentation site: `sphinx-build -W docs site` writes it, and fails at a link or an anchor that leads nowhere.

The pages are plain Markdown, which GitHub shows too: none of them uses what only Sphinx has. So the menu is here.
"""

from __future__ import annotations

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
    "Tutorials": "tutorials/test-an-app tutorials/serve-any-language tutorials/fuzz-a-client",
    "How-to": (
        "how-to/fail-then-succeed how-to/slow-stream how-to/assert-a-tool-result how-to/property-tests"
        " how-to/record-and-replay production how-to/python how-to/unittest javascript how-to/go how-to/docker"
        " how-to/github-actions how-to/editors drivers how-to/coming-from how-to/troubleshooting"
    ),
    "Reference": (
        "testing journal verdict scenarios stream framing timing faults generated server page live routes responses"
        " messages gemini ollama recordings fuzzing grammar bugs capacity limits security reference/keys"
        " reference/commands reference/python"
    ),
    "Explanation": (
        "explanation/the-wire explanation/determinism explanation/how-the-fuzzer-works clients explanation/comparison"
        " explanation/limitations"
    ),
}
"""The pages of each part, in order. A page that is in none of them comes last in the reference."""


def _with_menu(app: Any, name: str, source: list[str]) -> None:
    """Adds the menu to the first page, where Sphinx looks for it."""
    if name == "index":
        listed = {page for pages in MENU.values() for page in pages.split()}
        others = sorted(app.env.found_docs - listed - {"index"})
        parts = (
            "\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *pages.split(), *more, "```"])
            for title, pages in MENU.items()
            for more in [others if title == "Reference" else []]
        )
        source[0] += "\n\n" + "\n\n".join(parts) + "\n"


def setup(app: Any) -> None:
    app.connect("source-read", _with_menu)
