"""`rightsize nodes` prints plans on stdout, and nothing else there."""

import csv
import io
import json
import subprocess
import sys

import pytest

from rightsize.snapshot import Snapshot


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from rightsize.cli import run; run()",
            "nodes",
            *arguments,
            "--time-limit",
            "0.5",
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_json_names_three_plans_with_packed_and_promised_counts(small_snapshot: Snapshot) -> None:
    done = run("--snapshot", str(small_snapshot.path), "--no-recommended", "--format", "json")
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert body["schema_version"] == 1
    assert [plan["name"] for plan in body["plans"]] == ["same-type", "single-type", "mix"]
    for plan in body["plans"]:
        assert plan["promised"]["nodes"] >= 2
        assert plan["packed"]["optimality_gap"] >= 0
        assert plan["packed"]["lower_bound_usd_per_month"] <= plan["packed"]["usd_per_month"] + 1e-6
        assert plan["unplaced"] == []
    assert body["today"]["nodes"] == 3
    assert body["today"]["usd_per_month"] == pytest.approx(3 * 0.192 * 730)
    assert body["plans_recommended"] is None


def test_csv_and_markdown_hold_the_same_plans(small_snapshot: Snapshot) -> None:
    common = ("--snapshot", str(small_snapshot.path), "--no-recommended", "--families", "m5")
    rows = list(csv.DictReader(io.StringIO(run(*common, "--format", "csv").stdout)))
    assert [row["plan"] for row in rows] == ["same-type", "single-type", "mix"]
    text = run(*common, "--format", "markdown").stdout
    for row in rows:
        assert f"| {row['plan']} | {row['packed_nodes']} |" in text


def test_a_wrong_setting_is_one_message_and_exit_code_2(small_snapshot: Snapshot) -> None:
    done = run("--snapshot", str(small_snapshot.path), "--spread", "region")
    assert done.returncode == 2
    assert "nodes.spread" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_architecture_without_types_leaves_the_cheapest_plans_empty_and_says_why(
    small_snapshot: Snapshot,
) -> None:
    common = ("--snapshot", str(small_snapshot.path), "--no-recommended", "--format", "json")
    (mix,) = json.loads(run(*common, "--arch", "riscv", "--plan", "mix").stdout)["plans"]
    assert (mix["name"], mix["packed"], mix["promised"]) == ("mix", None, None)
    assert mix["reason"] == "no type that is allowed has a known price"


def test_the_month_can_be_replayed_and_an_hour_is_counted_for_each_node(
    small_snapshot: Snapshot,
) -> None:
    common = ("--snapshot", str(small_snapshot.path), "--no-recommended", "--families", "m5")
    done = run(*common, "--replay", "karpenter", "--format", "json")
    assert done.returncode == 0, done.stderr
    replay = json.loads(done.stdout)["replay"]
    assert replay["autoscaler"] == "karpenter"
    assert replay["seen_mean_nodes"] == pytest.approx(3)
    assert len(replay["today"]["hours"]) == 24
    assert replay["today"]["node_hours"] == sum(replay["today"]["nodes"])
    assert replay["recommended"] is None
