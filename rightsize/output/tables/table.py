"""A table: columns with name, unit and formatter; rendered to terminal, Markdown, CSV and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rightsize.border import printable
from rightsize.output.markdown import markdown_text

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable

Style = str | None


def _no_style(row: Any) -> Style:
    return None


def as_text(value: object) -> str:
    """Text as it is; nothing for what is not known."""
    return "" if value is None else str(value)


@dataclass(frozen=True)
class Column:
    """One column. `value` reads it from a row; `text` writes it for people, unit included."""

    name: str
    value: Callable[[Any], object]
    text: Callable[[Any], str] = as_text
    unit: str = ""
    figure: bool = False
    """Figures stand at the right and are never broken."""
    whole: bool = False
    """A text that is never broken either."""
    style: Callable[[Any], Style] = _no_style
    """Style of a row's cell on a terminal."""

    @property
    def heading(self) -> str:
        return f"{self.name}, {self.unit}" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    """Rows of any kind, and the columns that read them."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Any]
    row_style: Callable[[Any], Style] = _no_style

    def cells(self) -> list[list[str]]:
        """Every row for people, as text."""
        return [[c.text(c.value(row)) for c in self.columns] for row in self.rows]

    def rich(self) -> RichTable:
        """The table for a terminal; nothing in a name is markup."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=Text(printable(self.title)), title_justify="left")
        for column in self.columns:
            table.add_column(
                Text(column.heading),
                justify="right" if column.figure else "left",
                no_wrap=column.figure or column.whole,
                overflow="fold",
            )
        for row, cells in zip(self.rows, self.cells(), strict=True):
            shown = [
                Text(printable(cell), style=column.style(row) or "")
                for column, cell in zip(self.columns, cells, strict=True)
            ]
            table.add_row(*shown, style=self.row_style(row))
        return table

    def markdown(self) -> str:
        """The table as Markdown."""
        heads = [markdown_text(column.heading) for column in self.columns]
        lines = [f"| {' | '.join(heads)} |"]
        lines.append("|" + "|".join("---:" if c.figure else "---" for c in self.columns) + "|")
        for cells in self.cells():
            lines.append(f"| {' | '.join(map(markdown_text, cells))} |")
        return "\n".join(lines) + "\n"

    def frame(self) -> pd.DataFrame:
        """Values as they are, a column each."""
        import pandas as pd

        return pd.DataFrame({c.name: [c.value(row) for row in self.rows] for c in self.columns})


def rich_markdown(table: RichTable) -> list[str]:
    """A table that was made for a terminal, as lines of Markdown."""
    heads = [markdown_text(_plain(column.header)) for column in table.columns]
    rule = ["---:" if column.justify == "right" else "---" for column in table.columns]
    rows = zip(*(column.cells for column in table.columns), strict=True)
    lines = [f"**{markdown_text(_plain(table.title))}**", ""] if table.title else []
    lines += [f"| {' | '.join(heads)} |", f"|{'|'.join(rule)}|"]
    return lines + [f"| {' | '.join(markdown_text(_plain(c)) for c in row)} |" for row in rows]


def rich_frame(table: Any) -> pd.DataFrame:
    """The same as text, a column each."""
    import pandas as pd

    return pd.DataFrame({_plain(c.header): [_plain(x) for x in c.cells] for c in table.columns})


def _plain(cell: object) -> str:
    return str(getattr(cell, "plain", cell))
