"""The summary as a message of Slack and of Teams: valid by their schemas, and nothing in it acts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft6Validator, validators
from slack_sdk.models.blocks import Block

from rightsize.output.report.summary import (
    Said,
    Summary,
    slack_message,
    summary_answer,
    summary_text,
    teams_card,
)
from rightsize.output.tables import OF_MESSAGES, show

SCHEMA = Path(__file__).parents[3] / ".tools" / "schemas" / "adaptive-card.json"
EVIL = "<!channel> & <https://evil.example|pay> *b* [link](https://evil.example) \x1b[2J\u202e"
PLAIN = Summary(
    "Mesh cost review, October 2026",
    "Cluster prod, eu-west-1",
    "Part of a month.",
    (Said("Mesh cost", "$1,000", "what they request"), Said("Risk taken", "0.1 %", "")),
    ("lower istio-proxy ($80)", "scale istiod"),
)
HOSTILE = Summary(EVIL, EVIL, EVIL, (Said(EVIL, EVIL, EVIL),) * 5, (EVIL,) * 3)
LONG = Summary(*["&" * 9000] * 3, (Said("<" * 9000, "", "&" * 9000),) * 5, ("x" * 9000,) * 3)
BARE = Summary("Mesh cost review", "Cluster prod", "", (), ())
ALL = pytest.mark.parametrize("summary", [PLAIN, HOSTILE, LONG, BARE])


@pytest.fixture(scope="module")
def schema() -> Draft6Validator:
    if not SCHEMA.exists():
        reason = "no schema of Adaptive Cards (tests/servers/install.py says why)"
        (pytest.fail if os.environ.get("RIGHTSIZE_REQUIRE_SERVERS") == "1" else pytest.skip)(reason)
    # Beside each element the package's copy allows an object of its own class, which no JSON is.
    own = ("Element", *json.loads(SCHEMA.read_text())["definitions"])
    no_json = Draft6Validator.TYPE_CHECKER.redefine_many(
        {name: lambda checker, instance: False for name in own}
    )
    made = validators.extend(Draft6Validator, type_checker=no_json)
    return made(json.loads(SCHEMA.read_text()))


def card_of(summary: Summary) -> dict:
    (attachment,) = json.loads(json.dumps(teams_card(summary)))["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    return attachment["content"]


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


@ALL
def test_slacks_own_models_take_the_blocks(summary):
    message = slack_message(summary)
    blocks = Block.parse_all(message["blocks"])
    assert len(blocks) == len(message["blocks"])
    for block in blocks:
        block.validate_json()
    for block in message["blocks"]:
        for part in (block.get("text"), *block.get("fields", ()), *block.get("elements", ())):
            if part is not None:
                assert 0 < len(part["text"]) <= (150 if part["type"] == "plain_text" else 3000)
        assert all(len(part["text"]) <= 2000 for part in block.get("fields", ()))


@ALL
def test_the_card_is_valid_by_the_schema_of_adaptive_cards(summary, schema):
    assert [error.message for error in schema.iter_errors(card_of(summary))] == []


def test_the_schema_refuses_a_card_that_is_none(schema):
    broken = card_of(PLAIN)
    broken["body"][0]["inlines"] = 3
    assert not schema.is_valid(broken)


def test_no_name_mentions_links_or_formats_in_slack():
    message = slack_message(HOSTILE)
    shown = [
        part
        for block in message["blocks"]
        for part in (block.get("text"), *block.get("fields", ()), *block.get("elements", ()))
        if part is not None and part["type"] == "mrkdwn"
    ]
    for text in (message["text"], *(part["text"] for part in shown)):
        assert "<" not in text
        assert ">" not in text
        assert "&lt;!channel&gt; &amp; " in text
    assert all(part["verbatim"] for part in shown)


def test_no_name_is_read_as_markdown_in_teams():
    kinds = {one["type"] for one in card_of(HOSTILE)["body"]}
    assert kinds == {"RichTextBlock"}
    runs = [run for one in card_of(HOSTILE)["body"] for run in one["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}
    assert any("[link](https://evil.example)" in run["text"] for run in runs)


@pytest.mark.parametrize("made", [slack_message, teams_card])
def test_hidden_characters_are_shown(made):
    for text in texts(made(HOSTILE)):
        assert "\x1b" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize("made", [slack_message, teams_card])
def test_a_message_says_every_figure_and_action_of_the_ten_lines(made):
    said = " ".join(texts(json.loads(json.dumps(made(PLAIN)))))
    for word in ("October 2026", "prod", "Part of a month", "$1,000", "what they request"):
        assert word in said
    assert "lower istio-proxy ($80)" in said
    assert len(summary_text(PLAIN).splitlines()) == 6


@pytest.mark.parametrize("name", OF_MESSAGES)
def test_the_formats_write_the_messages(name, capsys):
    show(summary_answer(PLAIN), name)
    made = slack_message(PLAIN) if name == "slack" else teams_card(PLAIN)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(made))
