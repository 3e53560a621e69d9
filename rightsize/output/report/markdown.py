"""The report as Markdown, with the charts beside it as pictures."""

from __future__ import annotations

from rightsize.output.report.model import (
    Report,
    ReportTable,
    Section,
    shown,
    written,
    written_range,
)


def markdown_page(report: Report) -> str:
    """Render the report as Markdown; text from outside is escaped."""
    lines = [f"# {escaped(report.title)}", "", escaped(report.subtitle), ""]
    if report.banner:
        lines += [f"> **{escaped(report.banner)}**", ""]
    lines += ["## The month in five figures", "", "| figure | value | note |", "|---|---|---|"]
    for figure in report.figures:
        value = written_range(figure.value, figure.kind)
        link = f"[{escaped(figure.label)}](#{figure.table})"
        lines.append(f"| {link} | {value} | {escaped(figure.note)} |")
    lines += ["", "## What to do now", ""]
    for number, action in enumerate(report.actions, 1):
        usd = action.usd_per_month
        money = "" if usd is None else f": {written_range(usd, 'usd')} a month"
        lines.append(
            f"{number}. **{escaped(action.title)}**{money}. Owner: {escaped(action.owner)}. "
            f"Effort: {escaped(action.effort)}. "
            f"Risk: {escaped(action.risk)}. {escaped(action.how)}"
        )
    if not report.actions:
        lines.append("Nothing: no change pays or is safe enough this month.")
    for section in report.sections:
        lines += _section(section)
    lines += ["", "## Assumptions", "", "| assumption | value | unit | why |", "|---|---|---|---|"]
    lines += [
        f"| {a.name} | {a.value:.10g} | {escaped(a.unit)} | {escaped(a.text)} |"
        for a in report.assumptions
    ]
    lines += ["", "## Methods"]
    for method in report.methods:
        lines += ["", f"### {escaped(method.title)}", "", escaped(method.text)]
    return "\n".join(lines) + "\n"


def _section(section: Section) -> list[str]:
    lines = ["", f"## {escaped(section.title)}", ""]
    for paragraph in section.paragraphs:
        lines += [escaped(paragraph), ""]
    for chart in section.charts:
        lines += [f"![{escaped(chart.alt)}](charts/{chart.name}.png)", ""]
    for table in section.tables:
        lines += _table(table)
    return lines


def _table(table: ReportTable) -> list[str]:
    lines = [f'### <a id="{table.name}"></a>{escaped(table.title)}', ""]
    if table.note:
        lines += [escaped(table.note), ""]
    lines.append(f"| {' | '.join(escaped(column.label) for column in table.columns)} |")
    lines.append("|" + "|".join("---" if c.kind == "text" else "---:" for c in table.columns) + "|")
    cells = [
        [
            escaped(written(value, column.kind))
            for value in shown(table.frame[column.name], column.kind)
        ]
        for column in table.columns
    ]
    lines += [f"| {' | '.join(row)} |" for row in zip(*cells, strict=True)]
    totals = table.totals()
    if totals and len(table.frame):
        foot = [
            f"**{written(totals[c.name], c.kind)}**" if c.name in totals else ""
            for c in table.columns
        ]
        foot[0] = foot[0] or f"**{table.total_label}**"
        lines.append(f"| {' | '.join(foot)} |")
    return [*lines, ""]


def escaped(text: str) -> str:
    """Text that Markdown renders as itself: no HTML, no links, no table breaks."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    for character in "\\`*_[]|":
        text = text.replace(character, "\\" + character)
    return text
