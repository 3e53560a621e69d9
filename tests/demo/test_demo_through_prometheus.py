"""The demo mesh served by a real Prometheus and collected leads to the same answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rightsize.demo import DemoParameters, demo_snapshot, write_openmetrics
from rightsize.recommend import recommend
from rightsize.snapshot import Snapshot
from tests.servers.prometheus import backfill, running_prometheus

MESH = DemoParameters.tiny()


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[Snapshot, Snapshot]:
    """The snapshot made directly, and the one collected from Prometheus by the command."""
    folder = tmp_path_factory.mktemp("demo")
    made = Snapshot(demo_snapshot(folder / "cache", MESH))
    texts = write_openmetrics(MESH, folder / "text", block_hours=162)
    with running_prometheus(backfill(folder, texts)) as url:
        command = [sys.executable, "-c", "from rightsize.cli import run; run()", "collect"]
        command += [
            "--prometheus-url",
            url,
            "--cluster",
            "demo",
            "--out",
            str(folder / "collected"),
        ]
        command += ["--start", str(MESH.start), "--end", "2026-11-01"]
        subprocess.run(command, check=True)
    return made, Snapshot(folder / "collected")


def test_both_snapshots_lead_to_the_same_recommendations(both):
    made, collected = (recommend(snapshot).recommendations for snapshot in both)
    assert [r.key for r in made] == [r.key for r in collected]
    for one, other in zip(made, collected, strict=True):
        assert one.recommended == other.recommended, one.key
        for resource in ("cpu", "memory"):
            usages = [getattr(r, resource).usage for r in (one, other)]
            for name in ("p50", "p95", "p99"):
                values = [getattr(u, name) for u in usages]
                assert values[0] == pytest.approx(values[1], rel=1e-2), (one.key, resource, name)
            # Collected, a window in which a pod starts is divided by the time it lived.
            assert 0.999 < usages[1].peak / usages[0].peak < 2


def test_percentiles_equal_numpys_on_the_generators_own_samples(both):
    from rightsize.demo.load import day_samples
    from rightsize.demo.topology import build_mesh

    mesh = build_mesh(MESH)
    workload = next(w for w in mesh.workloads if w.component == "sidecar")
    windows = []
    for day in MESH.days:
        samples = day_samples(mesh, day)
        for row, pod in enumerate(samples.pods):
            if pod.workload.index == workload.index:
                alive = samples.alive[row].reshape(288, 5).any(axis=1)
                cpu = samples.cpu[row].reshape(288, 5).sum(axis=1) / 1e6 / 300
                windows.append(cpu[alive])
    expected = np.percentile(np.concatenate(windows), [50, 95, 99])
    row = next(r for r in recommend(both[1]).recommendations if r.workload == workload.name)
    found = [row.cpu.usage.p50, row.cpu.usage.p95, row.cpu.usage.p99]
    # Percentiles are those of the days' summaries, with buckets of 1 %.
    assert found == pytest.approx(expected, rel=1e-2)


def test_the_folder_of_texts_ends_each_file_properly(tmp_path: Path):
    for path in write_openmetrics(DemoParameters.tiny(pods=9, workloads=9), tmp_path):
        assert path.read_text().endswith("# EOF\n")
