"""The ten-line text that goes in a message."""

from __future__ import annotations

from rightsize.output.report.model import Report, written_range

_LINES = 10


def summary_text(report: Report) -> str:
    """Title, banner, five figures, and as many actions as ten lines hold."""
    lines = [f"{report.title} – {report.subtitle}"]
    if report.banner:
        lines.append(report.banner)
    lines += [
        f"{figure.label}: {written_range(figure.value, figure.kind)} {figure.note}"
        for figure in report.figures
    ]
    for action in report.actions[: _LINES - len(lines)]:
        usd = action.usd_per_month
        money = "" if usd is None else f" ({written_range(usd, 'usd')})"
        lines.append(f"Do: {action.title}{money}")
    return "\n".join(lines[:_LINES]) + "\n"
