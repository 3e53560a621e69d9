"""Other label conventions, bad samples, several clusters and several servers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from rightsize.collectors.prometheus import collect
from rightsize.config import PrometheusSettings
from rightsize.errors import NoDataError, UsageError
from rightsize.snapshot import Snapshot
from tests.collectors.prometheus.mesh import DAY, HOUR, MIB, Pod, every, node
from tests.servers.prometheus import Series, filled_prometheus, filled_victoria_metrics

WEB = Pod("web-6d4cf56db6-bcdfg")
API = Pod("api-6d4cf56db6-bcdfg", "back", ("ReplicaSet", "api-6d4cf56db6"))


def _taken(address: str | Iterable[str], out: Path, **settings: object) -> Snapshot:
    urls = (address,) if isinstance(address, str) else tuple(address)
    collect(
        PrometheusSettings(url=urls, **settings),  # type: ignore[arg-type]
        out=out,
        start=datetime.fromtimestamp(DAY, UTC),
        end=datetime.fromtimestamp(DAY + 24 * HOUR, UTC),
    )
    return Snapshot(out)


def _renamed(series: Iterable[Series], rename: Callable[[str, str], str]) -> list[Series]:
    return [
        replace(one, labels={rename(one.name, k): v for k, v in one.labels.items() if v})
        for one in series
    ]


def _usual() -> list[Series]:
    return [s for pod in (WEB, API) for s in (*pod.described(), *pod.used())] + node()


def _old_kubelet(name: str, label: str) -> str:
    old = {"pod": "pod_name", "container": "container_name"}
    return old.get(label, label) if name.startswith("container_") else label


def _without_honor_labels(name: str, label: str) -> str:
    described = ("namespace", "pod", "container", "node")
    return f"exported_{label}" if name.startswith("kube_") and label in described else label


@pytest.mark.parametrize("rename", [_old_kubelet, _without_honor_labels])
@pytest.mark.parametrize("fill", [filled_prometheus, filled_victoria_metrics])
def test_other_label_names_give_the_same_tables(
    fill: Callable[..., object], rename: Callable[[str, str], str], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        plain = stack.enter_context(fill(tmp_path / "plain", _usual()))  # type: ignore[arg-type]
        other = stack.enter_context(fill(tmp_path / "other", _renamed(_usual(), rename)))  # type: ignore[arg-type]
        _taken(plain, tmp_path / "a")
        _taken(other, tmp_path / "b")
    for table in ("usage", "pods", "containers", "nodes"):
        same = f"{table}/2026-09-14.parquet"
        assert (tmp_path / "a" / same).read_bytes() == (tmp_path / "b" / same).read_bytes()


def test_without_kube_state_metrics_usage_is_kept_and_workloads_are_guessed(tmp_path: Path) -> None:
    series = [s for s in _usual() if s.name.startswith("container_")]
    with filled_prometheus(tmp_path / "server", series) as address:
        snapshot = _taken(address, tmp_path / "snapshot")
    assert len(snapshot.read("usage")) == 2 * 288
    pods = snapshot.read("pods")
    assert set(pods["workload"]) == {"web", "api"}
    costs = {missing.what: missing.costs for missing in snapshot.manifest.missing}
    assert any("guessed" in cost for cost in costs.values())
    assert snapshot.read("containers")["cpu_request"].isna().all()
    assert snapshot.read("containers")["restarts"].isna().all()


def test_a_server_without_proxies_holds_no_mesh(tmp_path: Path) -> None:
    with (
        filled_prometheus(tmp_path / "server", WEB.described()) as address,
        pytest.raises(NoDataError, match="no mesh container"),
    ):
        _taken(address, tmp_path / "snapshot")


def test_bad_samples_make_gaps_and_no_figures(tmp_path: Path) -> None:
    times = every(60, DAY - 2 * HOUR, DAY + 26 * HOUR)
    bad = {DAY + 3 * HOUR: math.nan, DAY + 4 * HOUR: math.inf, DAY + 5 * HOUR: -7.0}
    cpu = [(t, bad.get(t, 0.01 * (t - DAY + 2 * HOUR))) for t in times]
    memory = [(t, bad.get(t, 60.0 * MIB)) for t in times]
    series = [*WEB.described(), *WEB.used(cpu=cpu, memory=memory)]
    with filled_prometheus(tmp_path / "server", series) as address:
        snapshot = _taken(address, tmp_path / "snapshot")
    usage = snapshot.read("usage")
    known = usage["cpu"].dropna()
    assert known.to_numpy() == pytest.approx(0.01)
    # Each bad sample's window; the one after it covers both.
    assert len(known) == 288 - 3
    assert usage["seconds"].max() == 600
    assert usage["memory"].max() == 60 * MIB
    assert np.isfinite(usage["memory"].dropna()).all()
    stats = snapshot.manifest.days[snapshot.days[0]].stats
    assert stats["infinite_samples"] == 2


def test_a_pod_of_one_minute_has_its_window(tmp_path: Path) -> None:
    brief = replace(WEB, name="web-6d4cf56db6-zzzzz", started=DAY + HOUR + 70, end=DAY + HOUR + 150)
    series = [s for pod in (WEB, brief) for s in (*pod.described(), *pod.used())]
    with filled_prometheus(tmp_path / "server", series) as address:
        snapshot = _taken(address, tmp_path / "snapshot")
    usage = snapshot.read("usage")
    rows = usage[usage["pod"] == brief.name]
    assert len(rows) == 1
    assert rows["cpu"].iloc[0] == pytest.approx(0.01)
    assert rows["seconds"].iloc[0] == 50
    pods = snapshot.read("pods").set_index("pod")
    assert pods.loc[brief.name, "first_seen"] == pods.loc[brief.name, "last_seen"]


def test_several_clusters_in_one_store_need_a_choice(tmp_path: Path) -> None:
    series = [
        *(s for s in WEB.used(cluster="east")),
        *(s for s in API.used(cluster="west")),
    ]
    with filled_prometheus(tmp_path / "server", series) as address:
        with pytest.raises(UsageError, match="2 clusters: east, west") as refused:
            _taken(address, tmp_path / "none")
        assert "--matcher cluster=" in str(refused.value)
        snapshot = _taken(address, tmp_path / "east", matchers=("cluster=east",))
    assert set(snapshot.read("usage")["pod"]) == {WEB.name}
    assert snapshot.manifest.cluster == "east"


@pytest.mark.parametrize("split", ["by metric", "by pod", "replicas"])
def test_several_servers_make_one_mesh(split: str, tmp_path: Path) -> None:
    calls = {"reporter": "destination", "destination_service": "web", "source_workload": "api"}
    counted = [(t, 3.0 * (t - DAY + 2 * HOUR)) for t in WEB.times]
    series = [*_usual(), Series("istio_requests_total", WEB.labels(**calls), counted)]
    first = {
        "by metric": [s for s in series if s.name.startswith("container_")],
        "by pod": [s for s in series if s.labels.get("pod") == WEB.name],
        "replicas": series,
    }[split]
    second = series if split == "replicas" else [s for s in series if s not in first]
    with ExitStack() as stack:
        one = stack.enter_context(filled_prometheus(tmp_path / "one", series))
        parts = [
            stack.enter_context(filled_prometheus(tmp_path / name, part))
            for name, part in (("first", first), ("second", second))
        ]
        _taken(one, tmp_path / "a")
        _taken(parts, tmp_path / "b")
    for table in ("usage", "pods", "containers", "nodes", "traffic"):
        same = f"{table}/2026-09-14.parquet"
        assert (tmp_path / "a" / same).read_bytes() == (tmp_path / "b" / same).read_bytes()


def test_a_query_in_pieces_by_expected_points_gives_the_same(tmp_path: Path) -> None:
    series = _usual()
    with filled_prometheus(tmp_path / "server", series) as address:
        settings = PrometheusSettings(url=(address,), max_points=1000)
        times = (datetime.fromtimestamp(DAY - 24 * HOUR, UTC), datetime.fromtimestamp(DAY, UTC))
        whole = _taken(address, tmp_path / "a").read("usage")
        collect(
            settings,
            out=tmp_path / "b",
            start=times[0],
            end=times[1].replace(day=times[1].day + 1),
        )
    pieces = Snapshot(tmp_path / "b")
    pieces_usage = pieces.read("usage", days=pieces.days[-1:])
    assert pieces_usage.astype({"pod": str}).equals(whole.astype({"pod": str}))
