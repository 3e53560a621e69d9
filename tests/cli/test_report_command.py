"""`rightsize report`, month after month, as its user types it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rightsize.errors import NoDataError, OutputError, UsageError
from tests.cli.run import rightsize
from tests.review.two_months import NEW_PRICE, OCTOBER, SEPTEMBER, Month, written

DAYS = 8
BEFORE = Month(SEPTEMBER, DAYS, pods=(20, 5))
AFTER = Month(OCTOBER, DAYS, pods=(24, 6), web=0.25, requests=1.2e6, price=NEW_PRICE)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a snapshot of two months, and the reports of both."""
    folder = tmp_path_factory.mktemp("work")
    written(folder / "snapshots" / "two-months", BEFORE, AFTER)
    (folder / "rightsize.toml").write_text("[nodes]\ntime_limit = 0.2\n")
    for month in ("2026-09", "2026-10"):
        done = rightsize("report", "--month", month, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        assert re.fullmatch(
            "Using the newest snapshot, snapshots/two-months\n"
            rf"Report: reports/{month}/index.html \(\d+ files\)\n",
            done.stderr,
        )
    return folder


def facts(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())["facts"]


def table(folder: Path, name: str) -> list[dict]:
    return json.loads((folder / "tables" / f"{name}.json").read_text())


def copy_of(work: Path, folder: Path) -> Path:
    """The snapshot and settings in another folder, without reports."""
    shutil.copytree(work / "snapshots", folder / "snapshots")
    shutil.copy(work / "rightsize.toml", folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_two_processes_write_what_one_writes(work, tmp_path, monkeypatch):
    folder = copy_of(work, tmp_path)
    for processors in ("1", "2"):
        monkeypatch.setenv("PYTHON_CPU_COUNT", processors)
        done = rightsize("report", "--no-cache", "-o", processors, cwd=folder)
        assert done.returncode == 0, done.stderr
    assert contents(folder / "1") == contents(folder / "2")


def test_a_first_month_says_that_it_is_the_first(work):
    page = (work / "reports" / "2026-09" / "report.md").read_text()
    assert "This is the first report" in page
    assert "Saving realised: " not in page
    assert "unknown: no month before" in page


def test_the_month_after_holds_the_first_one_to_its_promises(work):
    folder = work / "reports" / "2026-10"
    assert (
        "Reports up to 2026-09 recommended 2 changes; in force, wholly or in part: 1."
        in (folder / "report.md").read_text()
    )
    states = {row["name"]: row["state"] for row in table(folder, "promised")}
    assert states == {"shop/web": "applied"}
    # What nobody followed is counted by its state.
    counted = {row["state"]: row["count"] for row in table(folder, "promised-states")}
    assert counted == {"applied": 1, "not applied": 1}


def test_node_hours_and_dollars_of_both_months_stand_side_by_side(work):
    folder = work / "reports" / "2026-10"
    (row,) = table(folder, "node-sets")
    assert row["node_hours_before"] == pytest.approx(BEFORE.nodes * 24 * DAYS)
    assert row["node_hours"] == pytest.approx(AFTER.nodes * 24 * DAYS)
    assert row["usd"] == pytest.approx(AFTER.usd_per_hour * 24 * DAYS)
    causes = {row["cause"]: row["usd"] for row in table(folder, "realised")}
    assert causes["fall of the machines' cost"] == pytest.approx(row["usd_before"] - row["usd"])
    saved = sum(row["usd"] for row in table(folder, "promised"))
    assert saved == pytest.approx(causes["lowered requests"])
    # A quarter of a core of each pod, at the new price.
    assert saved == pytest.approx(24 * 0.25 / 3.375 * NEW_PRICE * 24 * DAYS)


def test_part_of_a_month_is_marked_as_such(work):
    assert (
        "Part of a month: 8 of 31 days" in (work / "reports" / "2026-10" / "index.html").read_text()
    )


def test_a_month_written_again_has_the_same_bytes(work, tmp_path):
    folder = copy_of(work, tmp_path)
    shutil.copytree(work / "reports" / "2026-09", folder / "reports" / "2026-09")
    command = [sys.executable, "-m", "rightsize", "report"]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    first, again = contents(work / "reports" / "2026-10"), contents(folder / "reports" / "2026-10")
    assert sorted(first) == sorted(again)
    assert [name for name in first if first[name] != again[name]] == []


def test_later_months_and_other_clusters_are_no_promises_of_this_one(work, tmp_path):
    folder = copy_of(work, tmp_path)
    for month, change in (("2026-08", {"cluster": "another"}), ("2026-11", {"month": "2026-11"})):
        (folder / "reports" / month).mkdir(parents=True)
        whole = json.loads((work / "reports" / "2026-09" / "report.json").read_text())
        whole["facts"] |= change
        (folder / "reports" / month / "report.json").write_text(json.dumps(whole))
    done = rightsize("report", "--summary", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "first report: from requests that fell since the month before" in done.stdout


def test_files_that_are_no_reports_are_reported_and_left_out(work, tmp_path):
    folder = copy_of(work, tmp_path)
    shutil.copytree(work / "reports" / "2026-09", folder / "reports" / "2026-09")
    odd = ("", "{", "[]", '{"facts": {}}', '{"numFailedTests": 0}', "\xff")
    for number, text in enumerate(odd):
        (folder / "reports" / str(number)).mkdir()
        (folder / "reports" / str(number) / "report.json").write_bytes(text.encode("latin-1"))
    done = rightsize("report", "--summary", cwd=folder)
    assert done.returncode == 0
    assert "Running since October 2026" in done.stdout
    for number in range(len(odd)):
        said = f"reports/{number}/report.json is no report of rightsize, or a damaged one: left out"
        assert said in done.stderr


def test_the_summary_is_ten_lines_at_most_and_writes_nothing(work):
    before = contents(work)
    done = rightsize("report", "--summary", cwd=work)
    assert contents(work) == before
    golden = Path(__file__).with_name("golden") / "report_summary.txt"
    assert done.stdout == golden.read_text()
    assert len(done.stdout.splitlines()) <= 10


def test_the_summary_is_a_message_for_slack_on_request(work):
    done = rightsize("report", "--summary", "--format", "slack", cwd=work)
    message = json.loads(done.stdout)
    assert message["blocks"][0]["type"] == "header"
    assert "Mesh cost" in done.stdout


def test_a_form_of_the_summary_without_it_is_refused(work, tmp_path):
    done = rightsize("report", "--format", "teams", cwd=tmp_path)
    assert done.returncode == UsageError.exit_code
    assert "--summary" in done.stderr


def test_a_month_that_is_not_there_is_refused_with_those_that_are(work):
    done = rightsize("report", "--month", "2026-07", cwd=work)
    assert done.returncode == NoDataError.exit_code
    assert "2026-09" in done.stderr
    assert "2026-10" in done.stderr


@pytest.mark.parametrize("month", ["October", "2026-13", "2026-1", ""])
def test_what_is_no_month_is_refused(work, month):
    done = rightsize("report", "--month", month, cwd=work)
    assert done.returncode == UsageError.exit_code
    assert "YYYY-MM" in done.stderr


def test_a_report_folder_that_cannot_be_written_is_reported(work):
    done = rightsize("report", "-o", work / "rightsize.toml" / "x", cwd=work)
    assert done.returncode == OutputError.exit_code
    assert "rightsize.toml/x: cannot be written (Not a directory)" in done.stderr
    assert "Next: give another folder with -o" in done.stderr
