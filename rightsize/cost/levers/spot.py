"""Spot: which share of the pods could run on it, and what that saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from rightsize.config import NodeSettings, PriceSettings
from rightsize.cost.levers.commitment import discount_of
from rightsize.cost.levers.lever import Lever
from rightsize.cost.plan import PlanCost, Terms, ec2_hourly_of
from rightsize.cost.planned import lots_of
from rightsize.nodes.answer import NodeAnswer
from rightsize.nodes.demand import scheduled_pods
from rightsize.nodes.kept import staying
from rightsize.nodes.plan import NodeSet
from rightsize.nodes.problem import Flags
from rightsize.nodes.rules import parse_rules
from rightsize.prices.node_kinds import PACKED
from rightsize.results import Advice, Interval
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows

_STATELESS = ("Deployment", "ReplicaSet", "Rollout")
_CAPACITY = ("karpenter.sh/capacity-type", "eks.amazonaws.com/capacityType")
_SPOT_LABELS = dict(zip(_CAPACITY, ("spot", "SPOT"), strict=True))


@dataclass(frozen=True, slots=True)
class SpotShares:
    """Shares of the CPU that pods request, those of DaemonSets left out."""

    able: float
    """Stateless, two replicas or more, a budget that allows a disruption."""
    unguarded: float
    """The same but for the budget."""
    on_spot: float
    """On Spot machines now."""
    namespaces: Mapping[str, int]


def spot_shares(
    snapshot: Snapshot, settings: NodeSettings, advice: Advice | None = None
) -> SpotShares:
    """Which pods could run on Spot machines; kube-system and istiod stay on demand.

    Pods on nodes that no plan replaces are left out of every share.
    """
    pods = scheduled_pods(
        snapshot.read("pods"),
        snapshot.read("containers"),
        at=settings.demand,
        advice=advice,
    )
    machines = newest_rows(snapshot, "nodes")
    kept = staying(machines, pods)
    pods = pods[~pods["daemonset"].astype(bool) & ~pods["node"].astype(str).isin(kept)]
    cpu = float(pods["cpu"].sum())
    if not cpu:
        return SpotShares(0.0, 0.0, 0.0, {})
    owner = ["namespace", "workload"]
    keys = pd.MultiIndex.from_frame(pods[owner].astype(str))
    replicas = pods.groupby(owner, observed=True)["pod"].transform("size")
    spot = set(machines.loc[machines["capacity_type"].astype(str) == "spot", "node"].astype(str))
    there = pods["node"].astype(str).isin(spot).to_numpy(dtype=bool)
    able = (
        pods["workload_kind"].isin(_STATELESS).to_numpy(dtype=bool)
        & (replicas >= 2).to_numpy(dtype=bool)
        & ~keys.isin(_control_plane(snapshot))
        & (pods["namespace"].astype(str) != "kube-system").to_numpy(dtype=bool)
        & [_admits_spot(text) for text in pods["scheduling"].astype(object)]
        & ~there
    )
    budgets = newest_rows(snapshot, "pdbs")
    budgets = budgets[budgets["workload"].notna() & ~(budgets["disruptions_allowed"] == 0)]
    guarded = keys.isin(pd.MultiIndex.from_frame(budgets[owner].astype(str)))

    def share(chosen: Flags) -> float:
        return float(pods["cpu"].to_numpy(dtype=float)[chosen].sum()) / cpu

    counts = pods[able & guarded].groupby("namespace", observed=True).size()
    ranked = counts.sort_index().sort_values(ascending=False, kind="stable")
    return SpotShares(
        share(able & guarded),
        share(able & ~guarded),
        share(there),
        {str(name): int(count) for name, count in ranked.items()},
    )


def _control_plane(snapshot: Snapshot) -> pd.MultiIndex:
    containers, pods = (newest_rows(snapshot, name) for name in ("containers", "pods"))
    istiod = containers.loc[containers["component"] == "istiod", ["namespace", "pod"]]
    found = pods.merge(istiod.drop_duplicates(), on=["namespace", "pod"])
    return pd.MultiIndex.from_frame(found[["namespace", "workload"]].astype(str))


def _admits_spot(text: object) -> bool:
    terms = parse_rules(text if isinstance(text, str) else None).terms
    return any(
        all(one.matches(_SPOT_LABELS) for one in term if one.key in _CAPACITY) for term in terms
    )


def spot(
    snapshot: Snapshot,
    nodes: NodeAnswer,
    after: PlanCost,
    terms: Terms,
    settings: NodeSettings,
    prices: PriceSettings,
) -> Lever | None:
    """What the share of the pods that qualifies would cost less on Spot machines."""
    promised = (nodes.after or nodes.before).named("same-type").promised
    groups = () if promised is None else promised.groups
    packed = lots_of(NodeSet(tuple(one for one in groups if one.kind in PACKED)))
    lots = tuple(lot for lot in packed if lot.purchase_option == "on-demand" and lot.count)
    if not lots:
        return None
    pods = spot_shares(snapshot, settings, nodes.advice)
    known, source = discount_of(lots, terms, "spot")
    discount = prices.spot_discount if known is None else known
    listed = ec2_hourly_of(lots, terms, "mid")
    open_usd = listed if after.covered is None else after.covered.uncovered
    usd, more = (
        min(share * listed, open_usd) * max(discount, 0.0) * terms.hours
        for share in (pods.able, pods.able + pods.unguarded)
    )
    said = "assumed (prices.spot_discount)" if known is None else source
    held = f", {pods.on_spot:.0%} runs on Spot already" if pods.on_spot else ""
    price = (
        f"Spot {discount:.0%} below on demand, {said}"
        if discount > 0
        else f"Spot is dearer than on demand now, {said}"
    )
    more_text = f", {pods.unguarded:.0%} more once it has a budget, worth ${more - usd:,.0f}"
    condition = (
        f"{pods.able:.0%} of the CPU that pods request qualifies (stateless, two replicas or more, "
        f"a budget){more_text if pods.unguarded else ''}{held}; {price}; pods are evicted at two "
        "minutes' notice"
    )
    figures = {
        "share": pods.able,
        "share_without_budget": pods.unguarded,
        "usd_with_every_budget": more,
        "share_on_spot": pods.on_spot,
        "discount": known,
        "assumed_discount": prices.spot_discount if known is None else None,
    }
    return Lever(
        "spot",
        Interval.exactly(usd),
        condition,
        figures,
        after.covered is not None,
        pods.namespaces,
    )
