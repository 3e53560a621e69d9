"""Workers, the store and the scheduler die: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import dask
import pytest
from distributed import Client

from rightsize.errors import SchedulerError
from rightsize.fleet.collecting import collect_fleet
from rightsize.fleet.dask_run import Task, dask_client, run
from rightsize.fleet.fleet_file import Fleet, FleetCluster
from rightsize.snapshot.object_store import ObjectStore
from tests.fleet.conftest import CLUSTERS, DAYS
from tests.servers.object_store import BUCKET, Gate, s3_server
from tests.servers.prometheus import free_port

pytestmark = pytest.mark.servers
_DISTURBANCES = 10


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    with s3_server(monkeypatch) as gate:
        yield gate


def whole_days() -> list[date]:
    today = datetime.now(UTC).date()
    return [today - timedelta(days=number) for number in range(1, DAYS + 1)]


def fleet_of(address: str, count: int) -> Fleet:
    return Fleet(
        {
            f"cluster-{number}": FleetCluster(
                url=(address,), matchers=(f'cluster="{CLUSTERS[number % len(CLUSTERS)]}"',)
            )
            for number in range(count)
        }
    )


def stored(store: ObjectStore, fleet: Fleet) -> dict[str, dict[str, int]]:
    return {name: store.sizes(f"{name}/data") | store.sizes(f"{name}/days")
            for name in fleet.clusters}  # fmt: skip


def disturb(client: Client, gate: Gate, seed: int) -> list[str]:
    """Kill a worker or let the store refuse, at random, until ten times are over."""
    rng, done = random.Random(seed), []
    while len(done) < _DISTURBANCES:
        time.sleep(rng.uniform(0.1, 0.8))
        if rng.random() < 0.5:
            pids = [nanny.pid for nanny in client.cluster.workers.values() if nanny.pid]
            if pids:
                with suppress(ProcessLookupError):
                    os.kill(rng.choice(pids), signal.SIGKILL)
                done.append("worker")
        else:
            gate.refusing += rng.randint(1, 4)
            done.append("store")
    return done


def test_a_fleet_disturbed_ten_times_ends_as_an_undisturbed_one(
    fleet_server: str, s3: Gate
) -> None:
    fleet = fleet_of(fleet_server, 6)
    store, calm = ObjectStore(s3.url), ObjectStore(f"s3://{BUCKET}/calm")
    done = list[str]()
    # A dead worker's leases come back soon enough for a test.
    leases = {"lease-timeout": "3s", "lease-validation-interval": "1s"}
    with dask.config.set({"distributed.scheduler.locks": leases}), dask_client(workers=2) as client:
        collect_fleet(client, fleet, calm, whole_days())
        chaos = threading.Thread(target=lambda: done.extend(disturb(client, s3, 7)))
        chaos.start()
        while chaos.is_alive():
            collect_fleet(client, fleet, store, whole_days())
        s3.refusing = 0
        rows = collect_fleet(client, fleet, store, whole_days())
    assert len(done) == _DISTURBANCES
    assert {"worker", "store"} == set(done)
    assert [(row.missing, row.reason) for row in rows] == [(0, None)] * len(rows)
    assert stored(store, fleet) == stored(calm, fleet)


def slowly() -> None:
    time.sleep(600)


def test_a_lost_scheduler_is_a_row_with_its_reason() -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address]
    scheduler = subprocess.Popen([*command, "--no-dashboard"], stderr=subprocess.DEVNULL)
    try:
        with dask_client(address) as client:
            threading.Timer(1.0, scheduler.kill).start()
            (ended,) = run(client, [Task("a", slowly, ())])
    finally:
        scheduler.kill()
        scheduler.wait()
    assert ended.failure is not None
    assert ended.failure.exit_code == SchedulerError.exit_code
    assert "the scheduler was lost" in ended.failure.reason
