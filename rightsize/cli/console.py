"""Consoles and progress: colours only on a terminal, data on stdout, messages on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from rightsize.output.fitting import fitted, folded


def error_console() -> Console:
    """Console for messages. Rich turns colours off unless stderr is a terminal."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def output_console() -> Console:
    """Console for data. A pipe gets wide, plain text so that nothing is cut.

    `COLUMNS` in the environment sets another width, on a terminal and in a pipe.
    """
    console = Console(highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console = Console(highlight=False, width=200)
    return console


def print_table(table: Table) -> None:
    """Print a table on stdout, as a list where the terminal is too narrow for it."""
    console = output_console()
    console.print(fitted(table, console.width))


def print_lines(lines: Iterable[str]) -> None:
    """Print prose on stdout, folded between words on a terminal; a pipe gets whole lines."""
    console = output_console()
    fold = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    for line in lines:
        text = folded(line, console.width) if fold and len(line) > console.width else line
        console.print(text, markup=False, soft_wrap=True)


def progress_bar() -> Progress:
    """Progress bar on stderr; silent when stderr is no terminal."""
    console = error_console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
