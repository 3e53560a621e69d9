"""The month in a message: ten lines, or the same as Slack's and Teams' cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rightsize.border import printable
from rightsize.output.report.model import Report, written_range
from rightsize.output.tables import Answer, Messages

_LINES = 10
_SLACK_HEADER, _SLACK_FIELD, _SLACK_TEXT = 150, 2000, 3000
"""Characters that Slack takes (docs.slack.dev, "Blocks": header, section fields and text)."""
_CARD_VERSION = "1.4"
"""Of Adaptive Cards: what Teams renders in every client."""


@dataclass(frozen=True)
class Said:
    """One figure in words."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Summary:
    """What a message says: as many actions as ten lines hold."""

    title: str
    subtitle: str
    banner: str
    figures: tuple[Said, ...]
    actions: tuple[str, ...]


def summary_of(report: Report) -> Summary:
    """Title, banner, five figures and the first actions, in words."""
    figures = tuple(
        Said(one.label, written_range(one.value, one.kind), one.note) for one in report.figures
    )
    room = _LINES - 1 - bool(report.banner) - len(figures)
    actions = []
    for action in report.actions[: max(room, 0)]:
        usd = action.usd_per_month
        money = "" if usd is None else f" ({written_range(usd, 'usd')})"
        actions.append(f"{action.title}{money}")
    return Summary(report.title, report.subtitle, report.banner, figures, tuple(actions))


def summary_text(summary: Summary) -> str:
    """The message as ten lines at most."""
    lines = [f"{summary.title} – {summary.subtitle}"]
    if summary.banner:
        lines.append(summary.banner)
    lines += [f"{one.label}: {one.value} {one.note}" for one in summary.figures]
    lines += [f"Do: {action}" for action in summary.actions]
    return "\n".join(lines[:_LINES]) + "\n"


def summary_answer(summary: Summary) -> Answer:
    """The message in every format, those of chats included."""
    return Answer(
        document=lambda: {"schema_version": 1, **asdict(summary)},
        parts=lambda: summary_text(summary).splitlines(),
        messages=Messages(slack=lambda: slack_message(summary), teams=lambda: teams_card(summary)),
    )


def slack_message(summary: Summary) -> dict[str, object]:
    """A message of Block Kit, for an incoming webhook or `chat.postMessage`.

    No name acts in it: `&`, `<` and `>`, which begin mentions and links, are escaped, and `verbatim`
    keeps Slack from making links of words.
    """
    blocks: list[Mapping[str, object]] = [
        {"type": "header", "text": _plain(summary.title)},
        {"type": "context", "elements": [_mrkdwn(summary.subtitle, _SLACK_TEXT)]},
    ]
    if summary.banner:
        blocks.append({"type": "section", "text": _mrkdwn(summary.banner, _SLACK_TEXT)})
    blocks += [
        {
            "type": "section",
            "fields": [
                _mrkdwn(f"{one.label}: {one.value}", _SLACK_FIELD, bold=True),
                _mrkdwn(one.note or "–", _SLACK_FIELD),
            ],
        }
        for one in summary.figures
    ]
    if summary.actions:
        blocks.append({"type": "divider"})
    blocks += [
        {"type": "section", "text": _mrkdwn(f"Do: {action}", _SLACK_TEXT)}
        for action in summary.actions
    ]
    return {"text": _escaped(f"{summary.title} – {summary.subtitle}"), "blocks": blocks}


def teams_card(summary: Summary) -> dict[str, object]:
    """An Adaptive Card in the message that a Teams workflow takes.

    All text stands in `TextRun`s, which unlike `TextBlock` read no Markdown.
    """
    body: list[dict[str, object]] = [
        _runs(_run(summary.title, size="Large", weight="Bolder")),
        _runs(_run(summary.subtitle, isSubtle=True)),
    ]
    if summary.banner:
        body.append(_runs(_run(summary.banner, color="Warning")))
    body += [
        _runs(
            _run(f"{one.label}: {one.value}", weight="Bolder"), _run(f"  {one.note}", isSubtle=True)
        )
        for one in summary.figures
    ]
    body += [
        _runs(_run("Do: ", weight="Bolder"), _run(action)) | ({"separator": True} if first else {})
        for first, action in zip([True, *[False] * _LINES], summary.actions, strict=False)
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": _CARD_VERSION,
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _plain(text: str) -> dict[str, object]:
    return {"type": "plain_text", "text": _cut(printable(text), _SLACK_HEADER), "emoji": False}


def _mrkdwn(text: str, most: int, *, bold: bool = False) -> dict[str, object]:
    shown = _escaped(text, most - 2)
    return {"type": "mrkdwn", "text": f"*{shown}*" if bold else shown, "verbatim": True}


def _escaped(text: str, most: int = _SLACK_TEXT) -> str:
    """Escaped as Slack asks for, and cut before, so that no escape is broken."""
    found = printable(text)
    while True:
        escaped = found.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if len(escaped) <= most:
            return escaped
        found = _cut(found, len(found) - max((len(escaped) - most) // 5, 1))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _runs(*inlines: dict[str, object]) -> dict[str, object]:
    return {"type": "RichTextBlock", "inlines": list(inlines)}


def _run(text: str, **look: object) -> dict[str, object]:
    return {"type": "TextRun", "text": _cut(printable(text), _SLACK_TEXT), **look}
