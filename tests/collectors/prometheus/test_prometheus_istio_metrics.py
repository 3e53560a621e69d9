"""istiod's metrics, edges between workloads and Envoy's own, asked of both real servers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd
import pytest

from rightsize.collectors.prometheus import collect
from rightsize.config import PrometheusSettings
from rightsize.snapshot import Snapshot
from tests.collectors.prometheus.mesh import DAY, HOUR, Pod, every
from tests.servers.prometheus import Series, filled_prometheus, filled_victoria_metrics

WEB = Pod("web-6d4cf56db6-bcdfg")
YOUNG = Pod("web-6d4cf56db6-hjklm", started=DAY + 5 * HOUR + 1000)
ISTIOD = Pod(
    "istiod-6d4cf56db6-bcdfg",
    "istio-system",
    ("ReplicaSet", "istiod-6d4cf56db6"),
    containers=("discovery",),
)
RESET = DAY + 9 * HOUR + 90


def _edge(pod: Pod, reporter: str, **more: str) -> dict[str, str]:
    return pod.labels(
        reporter=reporter,
        source_workload="edge",
        source_workload_namespace="edge",
        destination_workload="web",
        destination_workload_namespace="shop",
        destination_service="web.shop.svc.cluster.local",
        request_protocol="http",
        response_code="200",
        connection_security_policy="mutual_tls" if reporter == "destination" else "unknown",
        **more,
    )


def _istiod(name: str, value: float, **labels: str) -> Series:
    return Series(name, ISTIOD.labels(app="istiod", **labels), [(t, value) for t in ISTIOD.times])


def _counted(name: str, rate: float, **labels: str) -> Series:
    samples = [(t, rate * (t - ISTIOD.started)) for t in ISTIOD.times]
    return Series(name, ISTIOD.labels(app="istiod", **labels), samples)


def _series() -> list[Series]:
    flat = every(60, DAY - 2 * HOUR, DAY + 26 * HOUR)
    steady = [(t, 2.0 * (t - DAY + 2 * HOUR)) for t in flat]
    restarted = [(t, 2.0 * (t - (RESET if t > RESET else DAY - 2 * HOUR))) for t in flat]
    young = [(t, 1.0 * (t - YOUNG.started)) for t in YOUNG.times]
    total = "istio_requests_total"
    failing = {**_edge(WEB, "destination"), "response_code": "503"}
    elsewhere = {
        **_edge(WEB, "source"),
        "source_workload": "web",
        "source_workload_namespace": "shop",
        "destination_workload": "unknown",
        "destination_workload_namespace": "unknown",
        "destination_service": "api.example.com",
    }
    back = {**elsewhere, "destination_service": "late.example.com"}
    return [
        *(s for pod in (WEB, YOUNG, ISTIOD) for s in pod.described()),
        *WEB.used(),
        *YOUNG.used(),
        *ISTIOD.used("discovery"),
        Series(total, _edge(WEB, "destination"), restarted),
        Series(total, _edge(YOUNG, "destination"), young),
        # The calling side saw the same calls, and a little more.
        Series(total, _edge(Pod("edge-1", "edge"), "source"), [(t, 1.1 * v) for t, v in steady]),
        Series(total, failing, [(t, 3.0) for t in flat if t > DAY + 3 * HOUR]),
        Series(total, elsewhere, steady),
        # Scraped again after an outage: its first value is no traffic of that hour.
        Series(total, back | {"pod": "gone"}, [s for s in steady if s[0] > DAY + 7 * HOUR]),
        Series(
            "istio_request_duration_milliseconds_sum",
            _edge(WEB, "destination"),
            [(t, 10 * v) for t, v in steady],
        ),
        Series("istio_request_bytes_sum", _edge(WEB, "destination"), steady),
        Series("istio_response_bytes_sum", _edge(WEB, "destination"), steady),
        _istiod("pilot_xds", 40, version="1.24.6"),
        _istiod("pilot_xds", 2, version="1.23.0"),
        _istiod("pilot_services", 300),
        _istiod("process_resident_memory_bytes", 2e8),
        Series(
            "process_resident_memory_bytes",
            {"namespace": "monitoring", "pod": "grafana-1", "app": "grafana"},
            [(t, 9e9) for t in flat],
        ),
        _counted("pilot_xds_pushes", 0.1, type="cds"),
        _counted("pilot_xds_pushes", 0.1, type="eds", job="one"),
        _counted("pilot_xds_pushes", 0.1, type="eds", job="two"),
        _counted("pilot_k8s_cfg_events", 0.2, type="Sidecar", event="add"),
        _counted("pilot_k8s_cfg_events", 0.3, type="Sidecar", event="update"),
        _counted("pilot_proxy_convergence_time_bucket", 0.5, le="0.5"),
        _counted("pilot_proxy_convergence_time_count", 0.6),
        _counted("process_cpu_seconds_total", 0.25),
        Series(
            "envoy_cluster_manager_active_clusters",
            WEB.labels(),
            [(t, 120.0 if t == DAY + 8 * HOUR else 80.0) for t in flat],
        ),
        Series("envoy_server_concurrency", WEB.labels(), [(t, 2.0) for t in flat]),
        Series("envoy_server_total_connections", WEB.labels(), [(t, 40.0) for t in flat]),
        *(
            Series("scrape_samples_post_metric_relabeling", pod, [(t, 500.0) for t in flat])
            for pod in (WEB.labels(), WEB.labels() | {"pod": "no-envoy-0"})
        ),
    ]


@pytest.fixture(scope="module", params=["prometheus", "victoriametrics"])
def snapshot(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Snapshot]:
    folder = tmp_path_factory.mktemp(request.param)
    fill = filled_prometheus if request.param == "prometheus" else filled_victoria_metrics
    with fill(folder, _series()) as address:
        collect(
            PrometheusSettings(url=(address,)),
            out=folder / "snapshot",
            start=datetime.fromtimestamp(DAY, UTC),
            end=datetime.fromtimestamp(DAY + 24 * HOUR, UTC),
        )
        yield Snapshot(folder / "snapshot")


@pytest.fixture(scope="module")
def istiod(snapshot: Snapshot) -> pd.DataFrame:
    return snapshot.read("control_plane").set_index(["metric", "label"]).sort_index()


def _hours(snapshot: Snapshot, service: str) -> pd.DataFrame:
    traffic = snapshot.read("traffic")
    rows = traffic[traffic["destination_service"] == service]
    hour = (rows["time"] - pd.Timestamp(DAY, unit="s", tz="UTC")).dt.total_seconds() / HOUR
    return rows.set_index(hour.round().astype(int))


def test_a_gauge_is_the_hours_maximum_by_its_telling_label(istiod: pd.DataFrame) -> None:
    assert istiod.loc[("pilot_xds", "version=1.24.6"), "value"].tolist() == [40] * 24
    assert istiod.loc[("pilot_services", ""), "value"].tolist() == [300] * 24


def test_process_metrics_are_istiods_alone(istiod: pd.DataFrame) -> None:
    assert istiod.loc[("process_resident_memory_bytes", ""), "value"].tolist() == [2e8] * 24


def test_a_counter_is_the_hours_increase(istiod: pd.DataFrame) -> None:
    assert istiod.loc[("pilot_xds_pushes", "type=cds"), "value"].tolist() == pytest.approx(
        [0.1 * HOUR] * 24
    )
    assert istiod.loc[("process_cpu_seconds_total", ""), "value"].tolist() == pytest.approx(
        [0.25 * HOUR] * 24
    )


def test_series_scraped_twice_count_once(istiod: pd.DataFrame) -> None:
    assert istiod.loc[("pilot_xds_pushes", "type=eds"), "value"].tolist() == pytest.approx(
        [0.1 * HOUR] * 24
    )


def test_series_that_differ_in_other_labels_add_up(istiod: pd.DataFrame) -> None:
    assert istiod.loc[("pilot_k8s_cfg_events", "type=Sidecar"), "value"].tolist() == (
        pytest.approx([0.5 * HOUR] * 24)
    )


def test_histograms_come_by_bucket(istiod: pd.DataFrame) -> None:
    name = "pilot_proxy_convergence_time"
    assert istiod.loc[(f"{name}_bucket", "le=0.5"), "value"].iloc[0] == pytest.approx(0.5 * HOUR)
    assert istiod.loc[(f"{name}_count", ""), "value"].iloc[0] == pytest.approx(0.6 * HOUR)


def test_calls_count_once_as_the_called_side_saw_them(snapshot: Snapshot) -> None:
    hours = _hours(snapshot, "web.shop.svc.cluster.local")
    assert hours.loc[2, "requests"] == pytest.approx(2.0 * HOUR)
    assert hours.loc[2, "mutual_tls"] == pytest.approx(2.0 * HOUR)
    assert hours.loc[2, "duration_seconds"] == pytest.approx(2.0 * HOUR * 10 / 1000)
    assert hours.loc[2, "bytes"] == pytest.approx(4.0 * HOUR)


def test_a_new_code_and_a_new_pod_count_from_zero(snapshot: Snapshot) -> None:
    hours = _hours(snapshot, "web.shop.svc.cluster.local")
    # Three failed calls in the fourth hour; the young pod starts 1000 s into the sixth.
    assert hours.loc[4, "errors"] == 3
    assert hours.loc[4, "requests"] == pytest.approx(2.0 * HOUR + 3)
    assert hours.loc[6, "requests"] == pytest.approx(2.0 * HOUR + (HOUR - 1000))


def test_a_reset_counts_what_the_counter_shows(snapshot: Snapshot) -> None:
    hours = _hours(snapshot, "web.shop.svc.cluster.local")
    assert hours.loc[10, "requests"] == pytest.approx(2.0 * (HOUR - 90) + HOUR)


def test_a_series_that_returns_after_an_outage_makes_no_spike(snapshot: Snapshot) -> None:
    hours = _hours(snapshot, "late.example.com")
    assert hours.index[0] == 8
    assert hours.loc[8, "requests"] == pytest.approx(2.0 * (HOUR - 60))
    assert hours.loc[9, "requests"] == pytest.approx(2.0 * HOUR)


def test_calls_that_leave_the_mesh_are_as_the_caller_saw_them(snapshot: Snapshot) -> None:
    hours = _hours(snapshot, "api.example.com")
    assert hours.loc[1, "requests"] == pytest.approx(2.0 * HOUR)
    assert hours.loc[1, "destination_workload"] == "unknown"
    assert pd.isna(hours.loc[1, "mutual_tls"])


def test_proxies_tell_the_size_of_their_configuration(snapshot: Snapshot) -> None:
    proxy = snapshot.read("proxies").iloc[0]
    assert (proxy["pod"], proxy["active_clusters"], proxy["concurrency"]) == (WEB.name, 120, 2)


def test_proxies_have_their_connections_and_what_their_scrapes_store(snapshot: Snapshot) -> None:
    proxies = snapshot.read("proxies")
    assert proxies["pod"].tolist() == [WEB.name]
    assert proxies["connections"].tolist() == [40]
    assert proxies["samples"].tolist() == [500]
    assert proxies["samples_a_day"].iloc[0] % 500 == 0
