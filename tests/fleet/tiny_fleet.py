"""A store with a few tiny clusters, and the fleet that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rightsize.fleet.fleet_file import Fleet, FleetCluster
from rightsize.snapshot.object_store import ObjectStore
from rightsize.snapshot.stored import publish
from tests.tiny_mesh import FIRST_DAY, Tiny, tiny_snapshot

DAYS = 10
MIB = 2**20
WANTED = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]


def tiny_fleet(
    folder: Path,
    store: ObjectStore,
    usage: Mapping[str, float],
    first: date = FIRST_DAY,
    **more: Any,
) -> Fleet:
    """Clusters by name with the CPU in cores that each sidecar uses; `more` is said of each."""
    for name, cpu in usage.items():
        found = tiny_snapshot(
            folder / name,
            Tiny(cpu=(cpu,), app_cpu_request=0.5),
            Tiny("api", "back", cpu=(cpu,), memory=(cpu * 4000 * MIB,), app_cpu_request=0.5),
            nodes=3,
            days=DAYS,
            first_day=first,
        )
        for day in found.days:
            publish(store, name, found.path, day)
    return Fleet({name: FleetCluster(url=("http://127.0.0.1:9",), **more) for name in usage})
