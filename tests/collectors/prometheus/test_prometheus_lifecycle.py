"""A collect that is killed, repeated, doubled, or meets a day that is not over."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rightsize.collectors.prometheus import collect
from rightsize.config import PrometheusSettings
from rightsize.errors import SnapshotError
from rightsize.snapshot import Manifest, Snapshot, SnapshotWriter
from rightsize.snapshot.check import check_snapshot
from tests.collectors.prometheus.mesh import DAY, HOUR, Pod, node
from tests.servers.faulty_proxy import Asked, Fault, faulty_proxy
from tests.servers.prometheus import filled_prometheus

DAYS = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    end = DAY + DAYS * 24 * HOUR
    pods = [
        Pod("web-6d4cf56db6-bcdfg", end=end, step=150),
        Pod("api-6d4cf56db6-bcdfg", "back", ("ReplicaSet", "api-6d4cf56db6"), end=end, step=150),
    ]
    series = [s for pod in pods for s in (*pod.described(), *pod.used())]
    folder = tmp_path_factory.mktemp("lifecycle")
    with filled_prometheus(folder, [*series, *node(end=end)]) as address:
        yield address


def _take(address: str, out: Path, until: float, first: float = DAY) -> None:
    collect(
        PrometheusSettings(url=(address,)),
        out=out,
        start=datetime.fromtimestamp(first, UTC),
        end=datetime.fromtimestamp(until, UTC),
        cluster="mesh",
    )


def _tables(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*.parquet")}


def _manifest(folder: Path) -> object:
    return json.loads((folder / "manifest.json").read_text()) | {"facts": None}


def test_killed_at_random_moments_it_ends_as_an_undisturbed_one(
    server: str, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _take(server, whole, DAY + DAYS * 24 * HOUR)
    rng = random.Random(7)
    deaths = 0
    # Answers come slowly, so that every run dies somewhere in the middle.
    with faulty_proxy(server, lambda _: Fault(silent_seconds=0.004)) as proxy:
        command = [sys.executable, "-c", "from rightsize.cli import run; run()", "collect"]
        command += ["--prometheus-url", proxy.address, "--out", str(killed), "--cluster", "mesh"]
        command += ["--start", "2026-09-14", "--end", "2026-09-18"]
        for _ in range(4):
            asked = len(proxy.asked)
            process = subprocess.Popen(command, stderr=subprocess.PIPE)
            while len(proxy.asked) == asked and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.1, 0.6))
            process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL, said
            deaths += 1
    assert deaths >= 2
    _take(server, killed, DAY + DAYS * 24 * HOUR)
    assert _tables(killed) == _tables(whole)
    assert _manifest(killed) == _manifest(whole)


def test_a_second_collect_fetches_the_new_days_alone(server: str, tmp_path: Path) -> None:
    with faulty_proxy(server, lambda _: None) as proxy:
        _take(proxy.address, tmp_path, DAY + 2 * 24 * HOUR)
        before = len(proxy.asked)
        _take(proxy.address, tmp_path, DAY + 3 * 24 * HOUR)
        ranges = [a for a in proxy.asked[before:] if a.path.endswith("/query_range")]
    assert min(float(asked.form["start"]) for asked in ranges) == DAY + 2 * 24 * HOUR
    assert len(Snapshot(tmp_path).days) == 3


def test_a_day_that_is_not_over_is_fetched_anew(server: str, tmp_path: Path) -> None:
    _take(server, tmp_path, DAY + 10 * HOUR)
    first = Snapshot(tmp_path)
    day = first.days[0]
    assert not first.manifest.days[day].complete
    assert len(first.read("usage")) == 2 * 120
    _take(server, tmp_path, DAY + 24 * HOUR)
    second = Snapshot(tmp_path)
    assert second.manifest.days[day].complete
    assert len(second.read("usage")) == 2 * 288


def test_days_before_the_servers_history_are_left_out(server: str, tmp_path: Path) -> None:
    _take(server, tmp_path, DAY + 24 * HOUR, first=DAY - 3 * 24 * HOUR)
    # The series begin two hours before the first whole day.
    assert [str(day) for day in Snapshot(tmp_path).days] == ["2026-09-13", "2026-09-14"]


def test_two_collects_into_one_folder_refuse_each_other(server: str, tmp_path: Path) -> None:
    manifest = Manifest(cluster="mesh", source="prometheus", simulated=False)
    with (
        SnapshotWriter(tmp_path, manifest),
        pytest.raises(SnapshotError, match="another collect"),
    ):
        _take(server, tmp_path, DAY + 24 * HOUR)


def test_a_folder_of_another_cluster_is_refused(server: str, tmp_path: Path) -> None:
    manifest = Manifest(cluster="other", source="prometheus", simulated=False)
    with SnapshotWriter(tmp_path, manifest) as writer:
        writer.write_manifest(manifest)
    with pytest.raises(SnapshotError, match="other"):
        _take(server, tmp_path, DAY + 24 * HOUR)


def test_the_servers_clock_counts_and_not_ours(server: str, tmp_path: Path) -> None:
    now = DAY + 24 * HOUR + 10 * 60
    reported = {"resultType": "scalar", "result": [now, str(now)]}
    clock = Fault(200, json.dumps({"status": "success", "data": reported}).encode())
    with faulty_proxy(
        server, lambda asked: clock if asked.form.get("query") == "time()" else None
    ) as proxy:
        collect(PrometheusSettings(url=(proxy.address,)), out=tmp_path, days=1, cluster="mesh")
    manifest = Snapshot(tmp_path).manifest
    assert manifest.start == datetime.fromtimestamp(DAY, UTC)
    # Two minutes are left for late samples, then whole windows.
    assert manifest.end == datetime.fromtimestamp(DAY + 24 * HOUR + 5 * 60, UTC)


def test_without_a_folder_it_goes_under_snapshots_by_the_clusters_name(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    collected = collect(
        PrometheusSettings(url=(server,)),
        days=1,
        end=datetime.fromtimestamp(DAY + 24 * HOUR, UTC),
        cluster="prod",
    )
    assert collected.path == Path("snapshots/prod")
    assert len(Snapshot(collected.path).days) == 1


def test_damaged_days_are_collected_again_and_equal_what_they_were(
    server: str, tmp_path: Path
) -> None:
    _take(server, tmp_path, DAY + 3 * 24 * HOUR)
    whole = _tables(tmp_path)
    flipped = bytearray(whole["usage/2026-09-14.parquet"])
    flipped[len(flipped) // 2] ^= 1
    (tmp_path / "usage" / "2026-09-14.parquet").write_bytes(flipped)
    (tmp_path / "pods" / "2026-09-15.parquet").unlink()
    assert [bool(day.faults) for day in check_snapshot(tmp_path)] == [True, True, False]
    # Damaged days before those that are asked for are mended too.
    _take(server, tmp_path, DAY + 3 * 24 * HOUR, first=DAY + 2 * 24 * HOUR)
    assert not any(day.faults for day in check_snapshot(tmp_path))
    assert _tables(tmp_path) == whole


def _nothing_left(asked: Asked) -> Fault | None:
    if "{" not in asked.form.get("query", ""):
        return None
    kind = "matrix" if asked.path.endswith("/query_range") else "vector"
    data = {"resultType": kind, "result": []}
    return Fault(200, json.dumps({"status": "success", "data": data}).encode())


def test_a_damaged_day_that_the_server_has_no_more_is_left_as_it_is(
    server: str, tmp_path: Path
) -> None:
    _take(server, tmp_path, DAY + 2 * 24 * HOUR)
    (tmp_path / "pods" / "2026-09-14.parquet").unlink()
    before = _tables(tmp_path)
    with faulty_proxy(server, _nothing_left) as proxy:
        collected = collect(
            PrometheusSettings(url=(proxy.address,)),
            out=tmp_path,
            start=datetime.fromtimestamp(DAY, UTC),
            end=datetime.fromtimestamp(DAY + 2 * 24 * HOUR, UTC),
            cluster="mesh",
        )
    assert [str(day) for day in collected.gone] == ["2026-09-14"]
    assert collected.fetched == ()
    assert _tables(tmp_path) == before
