"""Collecting a fleet on a local Dask cluster from a real Prometheus."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rightsize.collectors.prometheus import collect
from rightsize.config import PrometheusSettings
from rightsize.errors import SchedulerError, UsageError
from rightsize.fleet.collecting import CollectedCluster, collect_fleet
from rightsize.fleet.dask_run import Task, dask_client, run
from rightsize.fleet.fleet_file import Fleet, FleetCluster
from rightsize.secrets import blanked
from rightsize.snapshot import Snapshot
from rightsize.snapshot.object_store import ObjectStore, ReadCache
from rightsize.snapshot.stored import StoredSnapshot
from tests.fleet.conftest import CLUSTERS, DAYS
from tests.servers.faulty_proxy import Fault, faulty_proxy

pytestmark = pytest.mark.servers


def whole_days() -> list[date]:
    today = datetime.now(UTC).date()
    return [today - timedelta(days=number) for number in range(1, DAYS + 1)]


def fleet_on(address: str, **more: Any) -> Fleet:
    return Fleet(
        {
            name: FleetCluster(url=(address,), matchers=(f'cluster="{name}"',), team="ops")
            for name in CLUSTERS
        }
        | {name: FleetCluster.model_validate(given) for name, given in more.items()}
    )


def by_name(rows: list[CollectedCluster]) -> dict[str, CollectedCluster]:
    return {row.cluster: row for row in rows}


def test_each_day_of_each_cluster_is_as_collecting_it_alone(
    client: Any, fleet_server: str, tmp_path: Path
) -> None:
    store = ObjectStore(str(tmp_path / "store"))
    rows = collect_fleet(client, fleet_on(fleet_server), store, whole_days())
    assert [(row.fetched, row.missing, row.reason) for row in rows] == [(DAYS, 0, None)] * 3
    collect(
        PrometheusSettings(url=(fleet_server,), matchers=('cluster="west"',)),
        out=tmp_path / "alone",
        start=datetime.combine(min(whole_days()), datetime.min.time(), UTC),
        end=datetime.combine(max(whole_days()), datetime.min.time(), UTC) + timedelta(days=1),
        cluster="west",
    )
    alone = Snapshot(tmp_path / "alone")
    found = StoredSnapshot(store, "west", ReadCache(tmp_path / "cache", 2**30))
    for table in ("usage", "pods", "containers", "nodes"):
        pd.testing.assert_frame_equal(found.read(table), alone.read(table))
    again = collect_fleet(client, fleet_on(fleet_server), store, whole_days())
    assert [(row.there, row.fetched, row.requests) for row in again] == [(DAYS, 0, 0)] * 3


def test_a_cluster_that_fails_is_a_row_and_the_next_run_does_what_is_missing(
    client: Any, fleet_server: str, tmp_path: Path
) -> None:
    store = ObjectStore(str(tmp_path / "store"))
    good = {"url": fleet_server, "matchers": ('cluster="east"',)}
    broken = fleet_on(
        fleet_server,
        east=good | {"bearer_token_env": "A_VARIABLE_THAT_NOBODY_SET"},
        nobody={"url": fleet_server, "matchers": ('cluster="nobody"',)},
    )
    rows = by_name(collect_fleet(client, broken, store, whole_days()))
    assert "A_VARIABLE_THAT_NOBODY_SET is not set" in str(rows["east"].reason)
    assert rows["east"].exit_code == 2
    assert (rows["east"].missing, rows["west"].missing, rows["west"].reason) == (DAYS, 0, None)
    assert "no mesh container" in str(rows["nobody"].reason)
    mended = collect_fleet(client, fleet_on(fleet_server), store, whole_days())
    assert {row.cluster: row.fetched for row in mended} == {"east": DAYS, "north": 0, "west": 0}
    assert all(row.reason is None for row in mended)


def test_a_server_has_two_requests_in_flight_whatever_the_workers(
    client: Any, fleet_server: str, tmp_path: Path
) -> None:
    lock = threading.Lock()
    inside = most = 0

    def slowly(_: object) -> Fault | None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.02)
        with lock:
            inside -= 1
        return None

    store = ObjectStore(str(tmp_path / "store"))
    with faulty_proxy(fleet_server, slowly) as one, faulty_proxy(fleet_server, slowly) as two:
        # Two addresses of one store: they name the budget that they share.
        clusters = {
            name: FleetCluster(
                url=(one.address if name == "east" else two.address,),
                matchers=(f'cluster="{name}"',), budget="the-store", in_flight=2,
            )
            for name in CLUSTERS
        }  # fmt: skip
        rows = collect_fleet(client, Fleet(clusters), store, whole_days())
    assert all(row.reason is None for row in rows)
    assert most == 2


def cores_of_joblib() -> int:
    import joblib

    return int(joblib.cpu_count())


def test_joblib_starts_no_processes_inside_a_worker(client: Any) -> None:
    (ended,) = run(client, [Task("a", cores_of_joblib, ())])
    assert ended.result == 1


def broken_task() -> None:
    raise ZeroDivisionError("nobody foresaw this")


def test_an_error_that_nobody_foresaw_is_a_row_too(client: Any) -> None:
    (ended,) = run(client, [Task("a", broken_task, ())])
    assert ended.failure is not None
    assert (ended.failure.reason, ended.failure.exit_code) == (
        "ZeroDivisionError: nobody foresaw this", 1)  # fmt: skip


@pytest.mark.parametrize("address", ["tcp://me:hunter2@dask:8786", "tcp://hunter2@dask:8786"])
def test_a_scheduler_with_a_password_is_refused_without_it(address: str) -> None:
    with pytest.raises(UsageError) as refused, dask_client(address):
        raise AssertionError("nobody signs in to a scheduler")
    assert "hunter2" not in blanked(str(refused.value))


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rightsize.fleet.dask_run._SECONDS", 1)
    with (
        pytest.raises(SchedulerError, match="tcp://127.0.0.1:9: no Dask scheduler"),
        dask_client("tcp://127.0.0.1:9"),
    ):
        raise AssertionError("nothing listens there")
