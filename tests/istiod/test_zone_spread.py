"""istiod's pods over zones and nodes: what is written, and what the loss of a zone takes."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from rightsize.istiod.model import fit_istiod
from rightsize.istiod.observations import IstiodTables
from rightsize.istiod.replicas import plan_for
from rightsize.istiod.zones import zone_spread
from rightsize.namespaces.manifests import istiod_values
from rightsize.nodes.rules import HOSTNAME, ZONE
from rightsize.snapshot.schema import frame
from tests.istiod.synthetic_istiod import START, Mesh, containers_of, hours_of
from tests.istiod.test_istiod_sizing import advise

HOURS = hours_of(Mesh(hours=7 * 24))
MODEL = fit_istiod(HOURS)
END = START + pd.Timedelta("23h")


def tables(zones: str, placed: str = "", *, scheduling: object = None, kind: str = "ec2"):
    """One node in each zone, and istiod's pods in these zones, one letter each."""
    pods = [f"istiod-{number}" for number, _ in enumerate(placed)]
    rows = {
        "namespace": "istio-system", "pod": pods, "node": [f"node-{zone}" for zone in placed],
        "last_seen": END, "scheduling": None if scheduling is None else json.dumps(scheduling),
    }  # fmt: skip
    nodes = {"node": [f"node-{z}" for z in zones], "zone": list(zones), "kind": kind}
    return IstiodTables(
        frame("control_plane"),
        frame("usage"),
        containers_of(tuple(pods)),
        pods=frame("pods", pd.DataFrame(rows)).assign(day=START),
        nodes=frame("nodes", nodes).assign(day=START),
    )


def spread(replicas: int = 3, release: str | None = "1.28.3", **world):
    return zone_spread(tables(**world), plan_for(MODEL, MODEL.load, replicas), MODEL, release)


def test_pods_are_spread_over_zones_and_over_nodes():
    found = spread(zones="abc", placed="aab")
    assert found.written == (ZONE, HOSTNAME)
    assert (found.zones, found.pods, found.pods_in_fullest) == (3, 3, 2)


@pytest.mark.parametrize(
    ("replicas", "zones", "lost"), [(3, "abc", 1), (4, "abc", 2), (5, "ab", 3)]
)
def test_the_loss_of_a_zone_takes_its_share_of_the_pods(replicas, zones, lost):
    found = spread(replicas, zones=zones, placed=zones)
    assert found.lost_with_a_zone == lost
    assert ("the sizes survive" in found.reason) == (lost == 1)


def test_a_zone_that_takes_more_than_one_pod_says_what_the_rest_then_needs():
    assert "the 2 left then need up to" in spread(4, zones="abc", placed="aabc").reason


@pytest.mark.parametrize("condition", ["DoNotSchedule", "ScheduleAnyway"])
def test_a_constraint_that_runs_already_is_not_written_again(condition):
    rules = {"topologySpreadConstraints": [{"topologyKey": ZONE, "whenUnsatisfiable": condition}]}
    assert spread(zones="abc", placed="abc", scheduling=rules).written == (HOSTNAME,)


def test_one_zone_asks_for_different_nodes_alone():
    found = spread(zones="a", placed="aaa")
    assert found.written == (HOSTNAME,)
    assert "its loss takes the whole mesh" in found.reason


def test_a_chart_that_cannot_spread_gets_nothing_written():
    assert spread(zones="abc", placed="abc", release="1.18.2").written == ()
    assert spread(zones="abc", placed="abc", release=None).written == (ZONE, HOSTNAME)


@pytest.mark.parametrize("world", [{"zones": ""}, {"zones": "ab", "kind": "fargate"}])
def test_unknown_zones_are_no_answer(world):
    assert spread(**world, placed="ab") is None


def test_the_values_hold_a_constraint_that_only_prefers_for_this_revision():
    found = replace(advise(HOURS, days=7), revision="istiod-1-28", spread=spread(zones="abc"))
    constraints = istiod_values(found)["pilot"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in constraints] == [ZONE, HOSTNAME]
    assert {one["whenUnsatisfiable"] for one in constraints} == {"ScheduleAnyway"}
    labels = {"app": "istiod", "istio.io/rev": "1-28"}
    assert all(one["labelSelector"]["matchLabels"] == labels for one in constraints)
