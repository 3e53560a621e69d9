"""Who needs a waypoint: planted objects, traffic and readers, each with its known answer."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from rightsize.ambient.facts import features
from rightsize.ambient.obstacles import Obstacle
from rightsize.ambient.rates import by_node, read_rates
from rightsize.ambient.readers import Reader, layer_7_readers
from rightsize.ambient.study import study_ambient
from rightsize.ambient.waypoints import waypoint_needs
from rightsize.audit.reading import read_files
from rightsize.errors import NoDataError
from tests.tiny_mesh import Tiny, tiny_snapshot

START = datetime(2026, 9, 1, 1, tzinfo=UTC)


def calls(*edges: tuple[str, str, str, float]) -> pd.DataFrame:
    """One hour of calls: source and destination `namespace/workload`, protocol, requests a second."""
    return pd.DataFrame(
        [
            {
                "time": START,
                "source_namespace": source.split("/")[0],
                "source_workload": source.split("/")[1],
                "destination_namespace": called.split("/")[0],
                "destination_workload": called.split("/")[1],
                "destination_service": f"{called.split('/')[1]}.svc",
                "protocol": protocol,
                "requests": rate * 3600,
                "errors": 0.0,
                "mutual_tls": rate * 3600,
                "duration_seconds": 1.0,
                "bytes": rate * 3600 * 2000,
            }
            for source, called, protocol, rate in edges
        ]
    )


def rates_of(tmp_path, *edges):
    mesh = tiny_snapshot(tmp_path / "s", Tiny(days=1), days=1, more={"traffic": calls(*edges)})
    return read_rates(mesh)


def need(rates, *, obstacles=(), readers=(), objects_read=True):
    return waypoint_needs(["shop"], obstacles, readers, rates, objects_read=objects_read)[0]


def obstacle(feature: str, namespace: str | None) -> Obstacle:
    return Obstacle(features()[feature], namespace, "Kind shop/x", "file:1", "evidence")


def test_a_route_needs_a_waypoint(tmp_path):
    rates = rates_of(tmp_path, ("shop/web", "shop/cart", "http", 10.0))
    assert need(rates, obstacles=[obstacle("virtual-service", "shop")]).need == "objects"
    assert need(rates, obstacles=[obstacle("virtual-service", "other")]).need == "none"


def test_a_policy_for_the_whole_mesh_needs_waypoints_where_http_arrives(tmp_path):
    http = rates_of(tmp_path / "a", ("shop/web", "shop/cart", "http", 10.0))
    tcp = rates_of(tmp_path / "b", ("shop/web", "shop/db", "tcp", 10.0))
    everywhere = [obstacle("http-authorization", None)]
    assert need(http, obstacles=everywhere).need == "objects"
    assert need(tcp, obstacles=everywhere).need == "none"


def test_grpc_needs_a_waypoint_for_its_balance(tmp_path):
    rates = rates_of(tmp_path, ("shop/web", "shop/cart", "grpc", 10.0))
    assert need(rates).need == "traffic"


def test_a_reader_of_metrics_of_requests_needs_a_waypoint(tmp_path):
    rates = rates_of(tmp_path, ("shop/web", "shop/cart", "http", 10.0))
    assert need(rates, readers=[Reader("shop", "istio_requests_total", "a:1")]).need == "telemetry"
    assert need(rates, readers=[Reader("other", "istio_requests_total", "a:1")]).need == "none"


def test_http_without_any_object_read_is_not_known(tmp_path):
    rates = rates_of(tmp_path, ("shop/web", "shop/cart", "http", 10.0))
    assert need(rates, objects_read=False).need == "unknown"


def test_mutual_tls_alone_needs_none(tmp_path):
    rates = rates_of(tmp_path, ("shop/web", "shop/db", "tcp", 10.0))
    found = need(rates, objects_read=False)
    assert (found.need, found.requests_per_second) == ("none", 0.0)
    assert found.connections_per_second == pytest.approx(10.0)


def test_rules_and_dashboards_are_read_with_the_namespace_they_name(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: x}\nspec:\n"
        "  groups:\n  - name: a\n    rules:\n"
        '    - expr: sum(rate(istio_requests_total{destination_workload_namespace="shop"}[5m]))\n'
        "    - expr: histogram_quantile(0.9, istio_request_duration_milliseconds_bucket)\n"
        "    - expr: rate(istio_tcp_sent_bytes_total[5m])\n"
        "    - expr: rate(my_istio_requests_total_copy[5m])\n"
    )
    found = layer_7_readers(read_files([path]))
    assert [(one.namespace, one.metric) for one in found] == [
        ("shop", "istio_requests_total"),
        (None, "istio_request_duration_milliseconds"),
    ]


def test_a_request_counts_once_at_each_end_and_is_shared_by_the_pods(tmp_path):
    rates = rates_of(tmp_path, ("shop/web", "shop/cart", "http", 12.0))
    pods = pd.DataFrame(
        {
            "namespace": "shop",
            "workload": ["web", "web", "cart"],
            "node": ["n1", "n2", "n2"],
        }
    )
    found = by_node(rates.through, pods)
    assert found.to_dict() == pytest.approx({"n1": 6.0, "n2": 18.0})
    assert np.isclose(found.sum(), 24.0)


def test_releases_outside_of_the_table_are_named(tmp_path):
    mesh = tiny_snapshot(tmp_path / "s", Tiny(days=1), days=1)
    assert any("stable from 1.24" in note for note in study_ambient(mesh, None, (1, 20)).notes)
    assert any("checked against" in note for note in study_ambient(mesh, None, (1, 40)).notes)


def test_a_snapshot_without_a_mesh_says_so(tmp_path):
    mesh = tiny_snapshot(tmp_path / "s", Tiny(component="istiod", days=1), days=1)
    with pytest.raises(NoDataError, match="no sidecar and no ztunnel"):
        study_ambient(mesh)
