"""Consoles: colours only on a terminal, data on stdout, messages on stderr, nothing of a name acts.

Every text that is printed passes `_Shown`: controls and direction marks of data become escapes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.measure import Measurement
from rich.segment import Segment

from rightsize.border import printable_lines

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress
    from rich.table import Table


class _Shown:
    """A renderable of text that holds nothing that a terminal would obey."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            text = segment.text if segment.control else printable_lines(segment.text)
            yield Segment(text, segment.style, segment.control)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._inner)


class _Border(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(one) for one in renderables]


def _guarded(console: Console) -> Console:
    console.push_render_hook(_Border())
    return console


def error_console() -> Console:
    """Console for messages. Rich turns colours off unless stderr is a terminal."""
    return _guarded(Console(file=sys.stderr, highlight=False, soft_wrap=True, markup=False))


def output_console() -> Console:
    """Console for data. A pipe gets wide, plain text so that nothing is cut.

    `COLUMNS` in the environment sets another width, on a terminal and in a pipe.
    """
    console = Console(highlight=False, markup=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console = Console(highlight=False, markup=False, width=200)
    return _guarded(console)


class Printer:
    """Data on stdout: tables and prose that fit the terminal, or text as it is."""

    def __init__(self) -> None:
        self.console = output_console()

    @property
    def width(self) -> int:
        return self.console.width

    def table(self, table: RenderableType) -> None:
        """Print a table, as a list where the terminal is too narrow for it."""
        from rich.table import Table

        from rightsize.output.fitting import fitted

        shown = fitted(table, self.width) if isinstance(table, Table) else table
        self.console.print(shown)

    def line(self, line: str) -> None:
        """Print prose, folded between words on a terminal; a pipe gets whole lines."""
        from rightsize.output.fitting import folded

        shown = printable_lines(line)
        fold = self.console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
        text = folded(shown, self.width) if fold and len(shown) > self.width else shown
        self.console.print(text, soft_wrap=True)

    def write(self, text: str) -> None:
        """Write text for programs, with what stdout cannot encode escaped."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def print_lines(lines: Iterable[str]) -> None:
    """Print prose on stdout."""
    printer = Printer()
    for line in lines:
        printer.line(line)


def print_table(table: Table) -> None:
    """Print a table on stdout, as a list where the terminal is too narrow for it."""
    Printer().table(table)


def progress_bar() -> Progress:
    """Progress bar on stderr; silent when stderr is no terminal."""
    from rich import progress

    console = error_console()
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
