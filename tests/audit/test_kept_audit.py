"""An audit of unchanged files is found again, and of nothing else."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from rightsize.audit.audit import audit
from rightsize.audit.kept_audit import kept_audit
from rightsize.audit.reading import read_files

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
VALUES = "pilot:\n  sharding: {strategy: isolation}\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "deploy" / "charts"
    place.mkdir(parents=True)
    (place / "istiod-values.yaml").write_text(VALUES)
    return place


@pytest.fixture
def run(folder):
    """Audit the folder; the second figure says how often that was computed."""
    computed = []

    def again(now=NOW, options=("1.28",)):
        def compute():
            computed.append(1)
            return audit(read_files([folder]), now=now)

        return kept_audit([folder], options, now, compute), len(computed)

    return again


def test_unchanged_files_are_audited_once_with_the_same_findings(run):
    first, once = run()
    second, still_once = run(now=NOW + timedelta(hours=3))
    assert (once, still_once) == (1, 1)
    assert second == first
    assert [f.rule for f in second.findings] == ["value-ignored"]


def touched(folder):
    (folder / "istiod-values.yaml").write_text(VALUES.replace("isolation", "none"))


def added(folder):
    (folder / "more.yaml").write_text("a: 1\n")


def removed(folder):
    (folder / "istiod-values.yaml").unlink()


def renamed(folder):
    (folder / "istiod-values.yaml").rename(folder / "other.yaml")


def a_chart_beside(folder):
    (folder / "Chart.yaml").write_text("name: istiod\nversion: 1.28.3\n")


def a_chart_above(folder):
    (folder.parent / "Chart.yaml").write_text("name: mesh\n")


def templates(folder):
    (folder.parent / "templates").mkdir()


@pytest.mark.parametrize(
    "change", [touched, added, removed, renamed, a_chart_beside, a_chart_above, templates]
)
def test_whatever_an_audit_reads_makes_it_anew(run, folder, change):
    run()
    change(folder)
    assert run()[1] == 2


def test_options_and_the_day_make_it_anew(run):
    run()
    assert run(options=("1.24",))[1] == 2
    assert run(now=NOW + timedelta(days=1))[1] == 3


def test_a_damaged_or_foreign_file_of_the_cache_is_not_taken(run, tmp_path):
    run()
    (kept,) = (tmp_path / "cache" / "rightsize" / "audit").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"value-ignored", b"nothing-at-all"))
    again, computed = run()
    assert (computed, [f.rule for f in again.findings]) == (2, ["value-ignored"])


def test_a_file_that_cannot_be_read_is_a_problem_each_time(folder):
    missing = folder / "missing.yaml"
    found = [kept_audit([missing], (), NOW, lambda: audit(read_files([missing]), now=NOW))
             for _ in range(2)]  # fmt: skip
    assert [len(one.problems) for one in found] == [1, 1]


def test_a_pipe_is_read_by_the_audit_alone(tmp_path):
    pipe = tmp_path / "values.yaml"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(VALUES,))
    writer.start()
    found = kept_audit([pipe], (), NOW, lambda: audit(read_files([pipe]), now=NOW))
    writer.join()
    assert [f.rule for f in found.findings] == ["value-ignored"]
