"""Writes a picture as SVG that is readable in light and in dark, on a phone and on a desktop.

Text is in a font of fixed width, and each line has its length in the file: so nothing overlaps where a browser has
another font. A picture is narrow, because a phone shows it at three quarters of its size. Knows no picture.
"""

from __future__ import annotations

from html import escape
from unicodedata import east_asian_width

WIDTH = 480
"""How wide each picture is, in its own units, which are pixels at full size."""
SIZES = {"text": 13, "small": 11}
ADVANCE = 0.602
"""The width of a character, as a share of the size of the font."""

_STYLE = """\
:root{--back:#fff;--line:#c4ccd4;--text:#1f2328;--dim:#57606a;--accent:#0a58b5;--good:#1a7f37;--bad:#c4232e;--fill:#eaf0f6}
@media (prefers-color-scheme:dark){
:root{--back:#15191f;--line:#444c56;--text:#e6edf3;--dim:#9aa4af;--accent:#79b8ff;--good:#56d364;--bad:#ff7b72;--fill:#232b35}}
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--text);white-space:pre}
text.small{font-size:11px}text.dim{fill:var(--dim)}text.accent{fill:var(--accent)}text.good{fill:var(--good)}
text.bad{fill:var(--bad)}text.bold{font-weight:bold}
.back{fill:var(--back);stroke:var(--line)}.box{fill:var(--fill);stroke:var(--line)}.hot{fill:var(--fill);stroke:var(--accent)}
.line{stroke:var(--line);fill:none}.bar{fill:var(--accent)}.good{fill:var(--good)}.bad{fill:var(--bad)}"""


class Picture:
    """A picture that grows downwards as things are put into it. `title`: what it shows, in a sentence."""

    def __init__(self, title: str, height: float) -> None:
        self._title = title
        self._height = height
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str, kind: str = "", *, end: bool = False) -> None:
        """A line of text with its left end or, with `end`, its right end at `x`, and its base line at `y`."""
        size = SIZES["small" if "small" in kind else "text"]
        length = width(text) * size * ADVANCE
        anchor = ' text-anchor="end"' if end else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"'
            f' class="{kind}"{anchor}>{escape(text, quote=False)}</text>'
        )

    def box(self, x: float, y: float, wide: float, high: float, kind: str = "box") -> None:
        """A rectangle with its upper left corner there."""
        self._parts.append(f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" rx="3" class="{kind}"/>')

    def line(self, *points: float) -> None:
        """A line through these points, each an x and a y."""
        self._parts.append(f'<polyline points="{" ".join(f"{each:g}" for each in points)}" class="line"/>')

    def svg(self) -> str:
        """The file. It has a background of its own, since a page may be dark where the system is light."""
        size = f'viewBox="0 0 {WIDTH} {self._height:g}" width="{WIDTH}" height="{self._height:g}"'
        back = f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{self._height - 1:g}" rx="6" class="back"/>'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{escape(self._title)}</title>'
        return "\n".join([head, f"<style>\n{_STYLE}\n</style>", back, *self._parts, "</svg>\n"])


def width(text: str) -> int:
    """How many columns a text takes in a font of fixed width."""
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)


def columns(wide: float, kind: str = "") -> int:
    """How many columns of text have room in this width."""
    return int(wide / (SIZES["small" if "small" in kind else "text"] * ADVANCE))


def cut(text: str, most: int) -> str:
    """The text, shortened to this many columns with `…` at its end."""
    return text if width(text) <= most else text[: most - 1] + "…"
