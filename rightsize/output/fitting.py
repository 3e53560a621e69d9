"""Tables on narrow terminals: whole figures in a list rather than broken ones in a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import numpy as np
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from rightsize.border import printable

_PROSE = 16
"""Columns below which a sentence in a cell is a ladder of words."""


def fitted(table: Table, width: int) -> RenderableType:
    """Return the table where `width` columns hold it, else the same as one entry for each row.

    A table fits if no figure (right-justified, or `no_wrap`) and no word has to be broken, and
    sentences have `_PROSE` columns. In an entry the leading texts of a row are its name.

    Parameters
    ----------
    table : rich.table.Table
        Cells are text; nothing in them is markup.
    width : int
        Columns of the terminal.
    """
    least = np.array([_least(column) for column in table.columns])
    wanted = np.maximum(least, [_longest(column) for column in table.columns])
    room = width - 3 * len(table.columns) - 1
    if least.sum() > room:
        return _entries(table, width)
    if wanted.sum() > room:
        spare = (wanted - least) * (room - least.sum()) // (wanted - least).sum()
        for column, columns in zip(table.columns, least + spare, strict=True):
            column.width = int(columns)
    return table


def folded(line: str, width: int) -> str:
    """Break a line of prose between words, what follows indented two further."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line.strip(),
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _is_figure(column: Column) -> bool:
    return column.justify == "right" or column.no_wrap


def _least(column: Column) -> int:
    header = _text(column.header)
    cells = [_text(cell) for cell in column.cells]
    words = [word for text in (header, *cells) for word in text.plain.split()]
    longest = max((text.cell_len for text in cells), default=0)
    least = max((cell_len(word) for word in words), default=1)
    if column.no_wrap:
        return max(header.cell_len, longest)
    return max(least, longest if _is_figure(column) else min(longest, _PROSE))


def _longest(column: Column) -> int:
    return max(_text(cell).cell_len for cell in (column.header, *column.cells))


def _entries(table: Table, width: int) -> RenderableType:
    headers = [_text(column.header).plain for column in table.columns]
    names = next((n for n, c in enumerate(table.columns) if _is_figure(c)), 1) or 1
    parts: list[RenderableType] = (
        [Text(_text(table.title).plain, style="italic")] if table.title else []
    )
    for row in zip(*(column.cells for column in table.columns), strict=True):
        cells = [_text(cell) for cell in row]
        name = Text(" ").join(cell for cell in cells[:names] if cell)
        name.stylize("bold")
        pairs = [
            Text.assemble((f"{header} ", "dim"), cell)
            for header, cell in zip(headers[names:], cells[names:], strict=True)
            if cell
        ]
        parts += [name, *(Padding(line, (0, 0, 0, 2)) for line in _lines(pairs, width - 2))]
    return Group(*parts)


def _lines(pairs: Iterable[Text], width: int) -> Iterable[Text]:
    """As many pairs on a line as there is room for, none of them broken that fits one."""
    line = Text()
    for pair in pairs:
        if line and line.cell_len + 3 + pair.cell_len > width:
            yield line
            line = Text()
        line = Text.assemble(line, " · ", pair) if line else pair
    if line:
        yield line


def _text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text(printable(cell))
