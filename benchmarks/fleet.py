"""A fleet on a local Dask cluster against moto's S3: time, memory and bytes, beside a serial run.

    python benchmarks/fleet.py                                   # 50 clusters, 200 pods, 30 days
    python benchmarks/fleet.py --clusters 8 --pods 60 --days 7   # a few minutes

Meshes are simulated as the demo's is; `--meshes` of them are made and used in turn. S3 is moto's server
in this process, so that it shares the cores with the workers. Serial is the same tasks one after the
other in one process, on a store of its own, with nothing cached.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rightsize.config import Settings
from rightsize.demo.cache import write_demo
from rightsize.demo.parameters import DemoParameters
from rightsize.fleet.analysing import recommend_fleet
from rightsize.fleet.dask_run import dask_client
from rightsize.fleet.fleet_file import Fleet, FleetCluster
from rightsize.fleet.tasks import Site, recommend_cluster
from rightsize.snapshot import Snapshot
from rightsize.snapshot.object_store import ObjectStore
from rightsize.snapshot.stored import publish
from tests.servers.object_store import BUCKET, Gate, s3_server

_LAST = date(2026, 10, 31)


def meshes(folder: Path, count: int, pods: int, days: int) -> list[Snapshot]:
    found = []
    for seed in range(count):
        path = folder / f"mesh-{seed}"
        if not path.exists():
            parameters = DemoParameters(
                seed=seed, start=_LAST - timedelta(days=days - 1), end=_LAST, pods=pods,
                workloads=max(57, pods // 10), nodes=max(8, pods // 12),
            )  # fmt: skip
            write_demo(path, parameters)
        found.append(Snapshot(path))
    return found


def filled(place: str, sources: list[Snapshot], clusters: int) -> tuple[ObjectStore, Fleet]:
    store = ObjectStore(f"s3://{BUCKET}/{place}")
    names = [f"cluster-{number:03}" for number in range(clusters)]
    for number, name in enumerate(names):
        source = sources[number % len(sources)]
        for day in source.days:
            publish(store, name, source.path, day)
    return store, Fleet({name: FleetCluster(url=("http://127.0.0.1:9",)) for name in names})


@contextmanager
def measured(what: str, gate: Gate) -> Iterator[None]:
    gate.asked.clear()
    began = time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    reads = [size for verb, path, size in gate.asked if verb == "GET"]
    print(f"{what:28} {seconds:8.1f} s {len(reads):8} reads {sum(reads) / 1e6:9.1f} MB", flush=True)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=50)
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--meshes", type=int, default=5)
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    wanted = [_LAST - timedelta(days=number) for number in range(given.days)]
    with (
        tempfile.TemporaryDirectory() as scratch,
        pytest.MonkeyPatch.context() as patch,
        s3_server(patch) as gate,
    ):
        os.environ["XDG_CACHE_HOME"] = f"{scratch}/serial"
        sources = meshes(Path(scratch), min(given.meshes, given.clusters), given.pods, given.days)
        with measured("publish", gate):
            store, fleet = filled("serial", sources, given.clusters)
            filled("dask", sources, given.clusters)
        sizes = [n for name in fleet.clusters for n in store.sizes(f"{name}/data").values()]
        print(f"{len(sizes)} packs, {sum(sizes) / 1e6:.1f} MB, {max(sizes) / 1e6:.2f} MB at most")
        with measured("serial", gate):
            for name, cluster in fleet.clusters.items():
                recommend_cluster(Site(store, name, cluster), Settings(), {}, wanted)
        os.environ["XDG_CACHE_HOME"] = f"{scratch}/dask"
        store = ObjectStore(f"s3://{BUCKET}/dask")
        with dask_client(workers=2) as client:
            recommend_fleet(
                client, fleet.only([next(iter(fleet.clusters))]), store, Settings(), wanted
            )
            done: list[tuple[int, float]] = []

            def note(count: int, total: int, _: str) -> None:
                if count in (1, total // 4, total // 2, total):
                    done.append((count, max(client.run(peak_mib).values())))

            with measured("two processes", gate):
                recommend_fleet(client, fleet, store, Settings(), wanted, progress=note)
            print("peak of a worker:", ", ".join(f"{m:.0f} MiB after {n}" for n, m in done))
            with measured("again, nothing new", gate):
                recommend_fleet(client, fleet, store, Settings(), wanted)


if __name__ == "__main__":
    main()
