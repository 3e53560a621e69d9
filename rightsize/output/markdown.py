"""Text of outside within Markdown."""

from __future__ import annotations

import re

from rightsize.border import printable


def markdown_text(text: object) -> str:
    """Data that Markdown renders as itself: no HTML, no links, no table breaks."""
    shown = printable(" ".join(str(text).split())).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", shown)


def code(text: object) -> str:
    """Data as a code span within a table, whatever backticks it holds."""
    shown = printable(text).replace("|", "\\|")
    if "`" not in shown:
        return f"`{shown}`"
    fence = "`" * (max(len(run) for run in re.findall(r"`+", shown)) + 1)
    return f"{fence} {shown} {fence}"
