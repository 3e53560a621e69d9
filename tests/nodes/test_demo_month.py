"""Where the demo's month ends under each autoscaler, from the 24 nodes that run."""

from __future__ import annotations

from functools import cache

import pandas as pd

from rightsize import load
from rightsize.demo import demo_snapshot
from rightsize.nodes import scheduler
from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.demand import pod_days
from rightsize.nodes.month import MonthReplay, replay_settings
from rightsize.nodes.problem import Flags
from rightsize.prices.book import snapshot_book
from rightsize.prices.shapes import catalogue_of
from rightsize.snapshot import Snapshot

SETTINGS = tuple(Autoscaler("cluster-autoscaler", value) for value in (0.5, 0.65, 0.75))
KARPENTER = Autoscaler("karpenter")


@cache
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Pods with today's and the recommended requests, prices and nodes."""
    snapshot = Snapshot(demo_snapshot())
    pods, containers = snapshot.read("pods"), snapshot.read("containers")
    prices, _ = catalogue_of(snapshot_book(snapshot, snapshot.manifest.region, None))
    advice = load(snapshot.path).advise()
    today, new = pod_days(pods, containers), pod_days(pods, containers, advice)
    return today, new, prices, snapshot.read("nodes")


def ends(*scalers: Autoscaler, orders: int = 1) -> tuple[list[MonthReplay], list[MonthReplay]]:
    today, new, prices, nodes = tables()
    return tuple(
        replay_settings(days, prices, nodes, scalers, orders=orders) for days in (today, new)
    )


def test_the_demo_ends_where_the_documentation_says():
    """The defaults take no node away; one threshold takes what the plan does without."""
    today, new = ends(*SETTINGS, orders=10)
    assert [(one.ends.low, one.ends.high) for one in today] == [(24, 24), (22, 24), (21, 22)]
    assert [(one.ends.low, one.ends.high) for one in new] == [(24, 24), (19, 21), (18, 18)]


def test_karpenter_ends_at_21_and_17():
    today, new = ends(KARPENTER, orders=2)
    assert [one.ends.high for one in (*today, *new)] == [21, 17]


def test_a_drained_nodes_pods_that_went_to_the_fullest_node_would_let_more_nodes_go(monkeypatch):
    """MostAllocated for drained pods, which EKS's scheduler is not set to."""
    scores, evacuate = scheduler.Cluster._score, scheduler.Cluster._evacuate

    def packing(self: scheduler.Cluster, nodes: Flags, *, first_fit: bool = False) -> object:
        monkeypatch.setattr(scheduler.Cluster, "_score", lambda self, k, on: -self.rest[on, 0])
        try:
            return evacuate(self, nodes, first_fit=first_fit)
        finally:
            monkeypatch.setattr(scheduler.Cluster, "_score", scores)

    monkeypatch.setattr(scheduler.Cluster, "_evacuate", packing)
    monkeypatch.setattr(scheduler, "_TAINT_WEIGHT", 0.0)
    _, new = ends(SETTINGS[1], orders=10)
    assert (new[0].ends.low, new[0].ends.high) == (18, 21)
