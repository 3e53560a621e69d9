"""docs/alerts.md lists the alerts that are written."""

from __future__ import annotations

import re
from pathlib import Path

from rightsize.cli import COMMANDS
from rightsize.output.alerts import rule_groups
from tests.output.mesh_of_alerts import marks

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()


def test_the_page_lists_every_alert_with_its_severity_and_patience():
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \|", PAGE, flags=re.M)
    written = [
        (rule["alert"], rule["labels"]["severity"], rule["for"])
        for group in rule_groups(marks())
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert listed == written


def test_propagation_is_slow_where_the_page_says():
    assert f"{marks().slow_seconds:g} s or more" in PAGE


def test_every_alert_names_a_command_that_there_is():
    for group in rule_groups(marks()):
        for rule in group["rules"]:
            if "alert" in rule:
                texts = " ".join(rule["annotations"].values())
                for name in re.findall(r"rightsize ([a-z][a-z-]+)", texts):
                    assert name in COMMANDS, rule["alert"]
                assert rule["annotations"]["next"], rule["alert"]
