"""`rightsize backtest` on a small trace file."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from rightsize.cli.backtest import app
from rightsize.errors import NoDataError, UsageError

runner = CliRunner()


@pytest.fixture
def trace(tmp_path):
    rng = np.random.default_rng(1)
    n = 3 * 288
    parts = [
        pd.DataFrame(
            {
                "series_id": name,
                "timestamp": 1_700_000_000 + 300 * np.arange(n),
                "cpu_cores": 0.1 * rng.lognormal(size=n),
                "memory_bytes": 1e8 + 1e6 * rng.random(n),
            }
        )
        for name in ("a", "b")
    ]
    path = tmp_path / "usage.csv.gz"
    pd.concat(parts).to_csv(path, index=False)
    return path


def run(trace, *more):
    return runner.invoke(app, ["--traces", str(trace), "--policies", "balanced,krr", *more])


def test_json_holds_totals_and_workloads_with_a_version(trace):
    done = run(trace, "--half", "--format", "json")
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert body["schema_version"] == 1
    assert [row["policy"] for row in body["totals"]] == ["balanced", "krr"]
    assert len(body["workloads"]) == 4
    assert body["totals"][0]["usd_per_hour"] is None


def test_csv_is_one_row_for_each_workload_and_policy(trace):
    done = run(trace, "--train-days", "1", "--test-days", "1", "--format", "csv")
    assert done.stdout.splitlines()[0].startswith("namespace,workload,container,policy,cpu_slack")
    assert len(done.stdout.splitlines()) == 5


def test_the_table_says_whether_promises_were_kept(trace):
    done = run(trace, "--half")
    assert "krr" in done.stdout
    assert "promised 5%" in done.stderr
    assert "Cost is unknown" in done.stderr


def test_the_chart_is_written(trace, tmp_path):
    chart = tmp_path / "waste.png"
    assert run(trace, "--half", "--chart", str(chart)).exit_code == 0
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_one_workload_is_shown_stretch_by_stretch(trace, tmp_path):
    chart = tmp_path / "a.png"
    days = ["--train-days", "1", "--test-days", "1"]
    done = run(trace, "--workload", "a", *days, "--chart", str(chart))
    assert done.exit_code == 0, done.output
    table = done.stdout.split("Stretch by stretch")[1]
    assert table.count("krr") == 2
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_a_workload_that_is_not_there_is_said(trace):
    assert isinstance(run(trace, "--workload", "shop/none").exception, NoDataError)


def test_a_snapshot_and_a_trace_exclude_each_other(trace):
    done = run(trace, "--snapshot", "x")
    assert isinstance(done.exception, UsageError)
