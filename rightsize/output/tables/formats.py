"""Every format that an answer can be written in. A new one is one function registered here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rightsize.border import csv_cell, markdown_lines
from rightsize.errors import UsageError
from rightsize.output.console import Printer, error_console
from rightsize.output.markdown import markdown_text
from rightsize.output.tables.table import Table, rich_frame, rich_markdown

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from rightsize.audit.audit import AuditResult
    from rightsize.results import Advice


@dataclass(frozen=True)
class Messages:
    """One answer as the JSON that a chat takes."""

    slack: Callable[[], object]
    teams: Callable[[], object]


@dataclass(frozen=True)
class Answer:
    """What a command found, before a format is chosen; nothing is made that is not asked for."""

    document: Callable[[], object]
    """The versioned JSON document."""
    parts: Callable[[], Iterable[Table | str | RenderableType]]
    """For people: tables and lines, in reading order."""
    rows: Callable[[], Table | pd.DataFrame] | None = None
    """One row for each item, for CSV; the first table of `parts` without it."""
    markdown: Callable[[], str] | None = None
    """A page of its own; `parts` as Markdown without it."""
    findings: Callable[[], AuditResult] | None = None
    """Faults with their places, for formats of findings."""
    messages: Messages | None = None
    """What a chat shows, for formats of messages."""
    sizes: Callable[[], Advice] | None = None
    """Recommended sizes, for formats of other tools that hold sizes."""
    charges: Callable[[], pd.DataFrame] | None = None
    """Rows of FOCUS, for formats of charges."""
    remarks: Sequence[str] = ()
    """What a reader should know beside the tables: on stderr, or the end of the page."""


SIMULATED = "Simulated: no figure of this mesh was measured."
Render = Callable[[Answer, Printer], None]
FORMATS: dict[str, Render] = {}
"""By the name that `--format` reads in every command."""
OF_FINDINGS: dict[str, Render] = {}
"""Further formats, of commands that answer with findings."""
OF_MESSAGES: dict[str, Render] = {}
"""Further formats, of answers that fit in a message."""
OF_SIZES: dict[str, Render] = {}
"""Further formats, of answers that are sizes."""
OF_CHARGES: dict[str, Render] = {}
"""Further formats, of answers that are a bill by day."""
Of = Literal["everything", "findings", "messages", "sizes", "charges"]
_FURTHER: dict[Of, dict[str, Render]] = {
    "everything": FORMATS,
    "findings": OF_FINDINGS,
    "messages": OF_MESSAGES,
    "sizes": OF_SIZES,
    "charges": OF_CHARGES,
}
_SAME = {"text": "table"}
"""Earlier names."""


def register_format(name: str, of: Of = "everything") -> Callable[[Render], Render]:
    """Offer a format to every command, or to those with an `Answer` that has `findings`,
    `messages`, `sizes` or `charges`.

    Examples
    --------
    >>> @register_format("lines")  # doctest: +SKIP
    ... def lines(answer, printer):
    ...     printer.write(json.dumps(answer.document()))
    """

    def keep(render: Render) -> Render:
        _FURTHER[of][name] = render
        return render

    return keep


def format_named(name: str, *of: Of) -> str:
    """Return the format's name; those of findings, messages and so on count where asked.

    Raises
    ------
    UsageError
        If there is none of this name.
    """
    known = _SAME.get(name, name)
    names = formats_of(*of)
    if known not in names:
        raise UsageError(f"no format {name!r}", hint=f"one of {', '.join(names)}")
    return known


def formats_of(*of: Of) -> list[str]:
    """Names of the formats of every command, and of the further ones asked for."""
    return [name for one in dict.fromkeys(("everything", *of)) for name in _FURTHER[one]]


def show(answer: Answer, name: str, printer: Printer | None = None) -> None:
    """Write the answer to stdout in the format of this name."""
    renders = {key: one for formats in _FURTHER.values() for key, one in formats.items()}
    renders[name](answer, printer or Printer())


@register_format("table")
def _terminal(answer: Answer, printer: Printer) -> None:
    for part in answer.parts():
        if isinstance(part, str):
            printer.line(part)
        else:
            printer.table(part.rich() if isinstance(part, Table) else part)
    for remark in answer.remarks:
        error_console().print(remark)


@register_format("json")
def _json(answer: Answer, printer: Printer) -> None:
    printer.write(json.dumps(answer.document(), indent=2, default=str) + "\n")


@register_format("yaml")
def _yaml(answer: Answer, printer: Printer) -> None:
    from rightsize.files.yaml_text import data_yaml

    printer.write(data_yaml(json.loads(json.dumps(answer.document(), default=str))))


@register_format("csv")
def _csv(answer: Answer, printer: Printer) -> None:
    rows = _rows(answer)
    frame = rows.frame() if isinstance(rows, Table) else rows
    printer.write(frame.map(csv_cell).to_csv(index=False, lineterminator="\n"))


@register_format("markdown")
def _markdown(answer: Answer, printer: Printer) -> None:
    if answer.markdown is not None:
        printer.write(markdown_lines(answer.markdown()))
        return
    from rich.table import Table as RichTable

    lines: list[str] = []
    for part in answer.parts():
        if isinstance(part, Table):
            lines += [f"**{markdown_text(part.title)}**", "", *part.markdown().splitlines(), ""]
        elif isinstance(part, RichTable):
            lines += [*rich_markdown(part), ""]
        elif isinstance(part, str):
            indent = len(part) - len(part.lstrip())
            lines.append(f"{' ' * indent}- {markdown_text(part)}")
    lines += [f"- {markdown_text(remark)}" for remark in answer.remarks]
    printer.write("\n".join(lines).rstrip("\n") + "\n")


@register_format("slack", of="messages")
def _slack(answer: Answer, printer: Printer) -> None:
    if answer.messages is not None:
        printer.write(json.dumps(answer.messages.slack(), indent=2) + "\n")


@register_format("teams", of="messages")
def _teams(answer: Answer, printer: Printer) -> None:
    if answer.messages is not None:
        printer.write(json.dumps(answer.messages.teams(), indent=2) + "\n")


def _rows(answer: Answer) -> Table | pd.DataFrame:
    if answer.rows is not None:
        return answer.rows()
    tables = [part for part in answer.parts() if not isinstance(part, str)]
    if not tables:
        raise UsageError("this answer is no table", hint="use --format json")
    return tables[0] if isinstance(tables[0], Table) else rich_frame(tables[0])


def records_frame(rows: object) -> pd.DataFrame:
    """A list of rows of a JSON document as a flat table."""
    import pandas as pd

    return pd.json_normalize([dict(row) for row in rows] if isinstance(rows, list) else [])
