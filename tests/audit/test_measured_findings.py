"""What a snapshot adds: the CA's expiry, requests without mutual TLS, and what it lacks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from rightsize.audit.identity import BESIDE, METADATA
from rightsize.audit.measured import measured_findings
from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter

DAY = date(2026, 9, 1)
START = datetime(2026, 9, 1, tzinfo=UTC)
NOW = datetime(2026, 9, 2, tzinfo=UTC)


def snapshot(path, *, expires=(), edges=()):
    control = pd.DataFrame(
        [
            {
                "time": START + timedelta(hours=hour),
                "pod": f"istiod-{number}",
                "metric": "citadel_server_root_cert_expiry_timestamp",
                "label": "",
                "value": moment.timestamp(),
            }
            for number, moment in enumerate(expires)
            for hour in (1, 2)
        ],
        columns=["time", "pod", "metric", "label", "value"],
    )
    traffic = pd.DataFrame(
        [
            {
                "time": START + timedelta(hours=1),
                "source_namespace": "shop",
                "source_workload": caller,
                "destination_namespace": "shop",
                "destination_workload": "cart",
                "destination_service": "cart.shop.svc.cluster.local",
                "protocol": "http",
                "requests": requests,
                "mutual_tls": mutual,
            }
            for caller, requests, mutual in edges
        ]
    )
    with SnapshotWriter(path, Manifest("tiny", "demo", simulated=True)) as writer:
        tables = {"control_plane": control} | ({"traffic": traffic} if edges else {})
        record = DayRecord(START, START + timedelta(days=1), complete=True, rows={})
        writer.write_day(DAY, tables, record)
    return Snapshot(path)


@pytest.mark.parametrize(("days", "severity"), [(5, "error"), (60, "warning"), (900, None)])
def test_the_ca_of_istiod_is_judged_by_the_days_it_has_left(tmp_path, days, severity):
    given = snapshot(tmp_path / "s", expires=[NOW + timedelta(days=days)])
    findings, _ = measured_findings(given, now=NOW)
    assert [(f.rule, f.severity) for f in findings] == (
        [("measured-ca-expiry", severity)] if severity else []
    )


def test_of_two_istiods_the_one_that_runs_out_first_counts(tmp_path):
    soon, late = NOW + timedelta(days=40), NOW + timedelta(days=400)
    (finding,), _ = measured_findings(snapshot(tmp_path / "s", expires=[late, soon]), now=NOW)
    assert f"{soon:%Y-%m-%d}" in finding.evidence


def test_the_share_of_plain_requests_names_the_worst_caller(tmp_path):
    edges = [("web", 900.0, 900.0), ("legacy", 100.0, 0.0)]
    (finding,), _ = measured_findings(snapshot(tmp_path / "s", edges=edges), now=NOW)
    assert finding.rule == "measured-plain-text"
    assert finding.evidence.startswith("10.0%")
    assert "shop/legacy to cart" in finding.evidence


def test_requests_whose_tls_is_unknown_are_not_counted(tmp_path):
    edges = [("web", 900.0, 900.0), ("legacy", 100.0, None)]
    findings, notes = measured_findings(snapshot(tmp_path / "s", edges=edges), now=NOW)
    assert not findings
    assert {note.rule for note in notes} == {"measured-ca-expiry", METADATA, BESIDE}


def test_a_snapshot_without_either_says_so(tmp_path):
    findings, notes = measured_findings(snapshot(tmp_path / "s"), now=NOW)
    assert not findings
    unknown = ["measured-ca-expiry", "measured-plain-text", METADATA, BESIDE]
    assert [note.rule for note in notes] == unknown
