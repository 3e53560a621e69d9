"""Shards: refused where they would cut something off, and their commands are true at the release."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rightsize.errors import UsageError
from rightsize.files.istioctl import proxy_status
from rightsize.istiod.histograms import BucketQuantile
from rightsize.istiod.model import MeshLoad
from rightsize.istiod.pilot_settings import minor_release
from rightsize.istiod.propagation import Delay, Propagation, StageDelay
from rightsize.istiod.replicas import ReplicaPlan
from rightsize.namespaces.destination_rules import OutlierDetection, ServiceRule
from rightsize.namespaces.manifests import destination_rule
from rightsize.namespaces.shard_delay import predicted_delay
from rightsize.namespaces.shard_files import shard_values
from rightsize.namespaces.shard_loads import namespaces_of
from rightsize.namespaces.shards import Shard
from rightsize.results import Interval, Sizes
from tests.namespaces.test_egress_and_discovery import CART, call, cluster, graph

SOURCE = os.environ.get("RIGHTSIZE_ISTIO_SOURCE")


@pytest.mark.parametrize("component", ["ztunnel", "waypoint"])
def test_a_mesh_with_ambient_parts_is_not_divided(component):
    pods, containers = cluster(shop="sidecar", other=component)
    with pytest.raises(UsageError, match=f"{component} run in this mesh"):
        namespaces_of(graph(call("shop/web", CART)), pods, containers, 10.0)


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ("1.24.6", "istioctl proxy-status -n shop --revision r1"),
        ("1.26.8", "istioctl proxy-status -n shop --revision r1"),
        ("1.27.0", "istioctl proxy-status -n shop --revision r1 -v 1"),
        ("1.30.3", "istioctl proxy-status -n shop --revision r1 -v 1"),
        (None, "istioctl proxy-status -n shop --revision r1 -v 1"),
    ],
)
def test_proxy_status_asks_the_shards_istiod_and_shows_synced(release, words):
    assert proxy_status(minor_release(release), namespace="shop", revision="r1") == words


@pytest.mark.skipif(
    SOURCE is None, reason="RIGHTSIZE_ISTIO_SOURCE names no checkout of istio/istio"
)
@pytest.mark.parametrize("release", ["1.20.8", "1.24.6", "1.26.8", "1.27.0", "1.28.6", "1.30.3"])
def test_the_flags_exist_in_the_source_at_the_tag(release):
    path = f"{release}:istioctl/pkg/proxystatus/proxystatus.go"
    text = subprocess.run(
        ["git", "-C", Path(str(SOURCE)), "show", path], capture_output=True, text=True, check=True
    ).stdout
    assert ('"verbosity", "v"' in text) is ("-v 1" in proxy_status(minor_release(release)))
    assert "AttachControlPlaneFlags" in text


def test_outlier_detection_moves_no_traffic_between_zones():
    outliers = OutlierDetection(10, 10, 30, 34, 50)
    rule = ServiceRule("shop", "cart", CART, None, outliers, ())
    policy = destination_rule(rule)["spec"]["trafficPolicy"]
    assert policy["loadBalancer"] == {"localityLbSetting": {"enabled": False}}


def propagation_of(p99: float, debounce: float) -> Propagation:
    def delay(value: float) -> Delay:
        return Delay(BucketQuantile(value / 3), BucketQuantile(value), 1000.0)

    stages = (StageDelay("debounce", delay(debounce), 0.5), StageDelay("push", delay(p99), 0.5))
    return Propagation(delay(p99), None, stages, None, None, ())


def test_a_shards_delay_falls_with_its_load_but_not_below_the_quiet_time():
    plan = ReplicaPlan(2, Interval.exactly(1.0), Interval.exactly(1.0), 1.0, 50)
    shard = Shard(1, (), (), MeshLoad(500.0, 1000.0, 1.0), plan, 0.25)
    now = MeshLoad(1000.0, 8000.0, 1.0)
    found = predicted_delay(propagation_of(60.0, 4.0), now, 2.0, shard)
    assert found.low == pytest.approx(4 + 56 * 0.125 * 0.5)
    assert found.mid == pytest.approx(4 + 56 * 0.125)
    assert found.high == 60.0


@pytest.mark.parametrize(("release", "replicas"), [("1.28.3", 3), ("1.28.3", 2), ("1.24.6", 4)])
def test_a_shard_has_a_budget_and_a_spread_of_its_own(release, replicas):
    """What the values in use hold selects the pods of another revision, or leaves it to a manifest."""
    plan = ReplicaPlan(replicas, Interval.exactly(1.0), Interval.exactly(1.0), 1.0, 50)
    shard = Shard(1, (), (), MeshLoad(500.0, 1000.0, 1.0), plan, 0.25)
    values = shard_values(shard, release, Sizes(cpu_request=1.0, memory_request=2**30))
    assert values["global"]["defaultPodDisruptionBudget"]["enabled"] is True
    assert ("pdb" in values) == (replicas > 2 and release >= "1.28")
    spread = values["pilot"]["topologySpreadConstraints"]
    assert {one["labelSelector"]["matchLabels"]["istio.io/rev"] for one in spread} == {
        values["revision"]
    }
