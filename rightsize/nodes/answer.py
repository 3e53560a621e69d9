"""The whole answer for one snapshot: nodes today, plans for today's and recommended requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd
from pydantic import TypeAdapter

from rightsize.answers import answered
from rightsize.beside import Beside, at_need
from rightsize.config import NodeSettings, PriceSettings
from rightsize.frames import digest
from rightsize.nodes.autoscaler import TRIED, Autoscaler, AutoscalerKind, calmer
from rightsize.nodes.demand import pod_days, scheduled_pods
from rightsize.nodes.graviton import Graviton, graviton_beside, workloads_on_arm
from rightsize.nodes.holds import held_pods, holds
from rightsize.nodes.kept import node_set_in_use, staying
from rightsize.nodes.month import MonthReplay, replay_settings
from rightsize.nodes.plan import PLAN_NAMES, NodePlans, NodeSet, PlanName
from rightsize.nodes.plans import plan_nodes
from rightsize.prices.book import snapshot_book
from rightsize.prices.burstable import burstable_notes
from rightsize.prices.shapes import catalogue_of
from rightsize.results import Advice
from rightsize.snapshot import Snapshot
from rightsize.snapshot.schema import WINDOW_SECONDS
from rightsize.snapshot.views import newest_rows

_ORDERS, _FEWEST_ORDERS, _PODS_TRIED = 10, 2, 12_000
"""Orders of arrival that each setting is replayed in: fewer with thousands of pods, whose nodes vary by a
smaller share, down to two."""


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """Plans before and after the recommendations. `today` is the node set on the last day seen."""

    cluster: str
    simulated: bool
    start: datetime
    end: datetime
    region: str | None
    today: NodeSet
    before: NodePlans
    after: NodePlans | None
    """None without advice."""
    notes: tuple[str, ...]
    month: MonthAnswer | None = None
    advice: Advice | None = None
    """What `after` was planned with."""
    graviton: Graviton | None = None
    """Where it was asked for; None too where no x86 is in use."""

    @property
    def promised(self) -> NodeSet | None:
        """The node set of the types in use that the recommended requests need; None if none is known."""
        plans = () if self.after is None else self.after.plans
        return next((one.promised for one in plans if one.name == "same-type"), None)

    @property
    def freed(self) -> Freed | None:
        """Nodes that go under the autoscaler replayed; None without a month or a plan."""
        if self.month is None or self.promised is None:
            return None
        return self.month.freed(self.today.nodes - self.promised.nodes)


@dataclass(frozen=True)
class Trial:
    """The month under one setting of the autoscaler, with both sets of requests."""

    autoscaler: Autoscaler
    before: MonthReplay
    after: MonthReplay | None

    @property
    def end(self) -> MonthReplay:
        """With the recommended requests where there are any."""
        return self.after or self.before

    @property
    def freed(self) -> int:
        """Nodes that go in all, whatever the order of arrival."""
        return self.before.first - self.end.ends.high

    @property
    def by_consolidation(self) -> int:
        """Nodes that go with the requests of today."""
        return self.before.first - self.before.ends.high

    @property
    def by_requests(self) -> int:
        """Nodes that go beside, with the recommended requests."""
        return self.before.ends.high - self.end.ends.high


@dataclass(frozen=True, slots=True)
class Freed:
    """Nodes that go: with the autoscaler as it comes, as `setting` sets it, and by the plan."""

    by_default: int
    expected: int
    planned: int
    setting: Autoscaler


@dataclass(frozen=True)
class MonthAnswer:
    """The month replayed. `seen_nodes` is the mean number of nodes seen at once, by the snapshot."""

    trials: tuple[Trial, ...]
    """The autoscaler's default first."""
    seen_nodes: float
    holds: tuple[str, ...] = ()
    """What keeps the autoscaler from taking nodes away, whatever it is set to."""
    calmer: tuple[Trial, ...] = ()
    """The setting that realises most, with what may spare scaling events."""
    replacement: Trial | None = None
    """Karpenter's default where it may buy every allowed type."""

    @property
    def before(self) -> MonthReplay:
        """Today's requests under the autoscaler's defaults."""
        return self.trials[0].before

    @property
    def after(self) -> MonthReplay | None:
        """The recommended requests under the autoscaler's defaults."""
        return self.trials[0].after

    def freed(self, planned: int) -> Freed:
        """Nodes that the autoscaler takes away of the `planned` ones, which survive a lost node.

        The setting is the one nearest to the default under which as many go as under any.
        """
        planned = max(planned, 0)
        counts = [min(max(trial.freed, 0), planned) for trial in self.trials]
        expected = max(counts)
        setting = self.trials[counts.index(expected)].autoscaler
        return Freed(counts[0], expected, planned, setting)

    @property
    def realising(self) -> Trial:
        """The setting nearest to the default that ends with the fewest nodes in every order."""
        return max(self.trials, key=lambda trial: trial.freed)


def answer(
    snapshot: Snapshot,
    settings: NodeSettings | None = None,
    *,
    advice: Advice | None = None,
    region: str | None = None,
    autoscaler: AutoscalerKind | None = None,
    names: tuple[PlanName, ...] = PLAN_NAMES,
    prices: PriceSettings | None = None,
    graviton: bool = False,
    beside: Beside = at_need,
    of_today: Callable[[], NodePlans] | None = None,
) -> NodeAnswer:
    """Plan nodes for a snapshot's pods, with today's requests and with the recommended ones.

    Parameters
    ----------
    advice : Advice, optional
        Recommended requests; without it only today's are planned for.
    region : str, optional
        Region of the prices, instead of the region the snapshot names.
    autoscaler : {"cluster-autoscaler", "karpenter"}, optional
        Also replay the month under this autoscaler.
    names : tuple of PlanName
        Plans to make.
    prices : PriceSettings, optional
        For prices of the user's own.
    graviton : bool
        Also plan arm64 beside the plan `mix`, if that is among `names`.
    beside : Beside
        Computes today's plans and the month meanwhile.
    of_today : callable, optional
        Gives the plans for today's requests (`planned`) where they were begun before.

    Raises
    ------
    NoDataError
        If no pod was seen.
    """
    chosen = settings or NodeSettings()
    nodes = newest_rows(snapshot, "nodes")
    where = region or _region_of(snapshot)
    catalogue, said = _catalogue(snapshot, where, prices or PriceSettings())
    of_today = of_today or beside(plans_of, snapshot, catalogue, chosen, names)
    of_month = None
    if autoscaler is not None:
        of_month = beside(month_of, snapshot, catalogue, chosen, autoscaler, advice)
    after = None if advice is None else plans_of(snapshot, catalogue, chosen, names, advice)
    before = of_today()
    arm = None
    if graviton and "mix" in names:
        mix = (after or before).named("mix")
        arm = answered(
            snapshot,
            "graviton",
            _terms(catalogue, chosen, advice),
            TypeAdapter(Graviton | None),
            lambda: graviton_beside(
                mix,
                _demand(snapshot, chosen, advice),
                catalogue,
                chosen,
                nodes,
                workloads_on_arm(snapshot.read("pods"), snapshot.read("nodes")),
            ),
        )
    manifest = snapshot.manifest
    today = node_set_in_use(nodes, catalogue)
    month = None
    if of_month is not None:
        month = of_month()
        if month is None:
            said = (*said, "the month is not replayed: every node is kept in every plan")
    types = {*today.by_type, *bought_types(before), *(() if after is None else bought_types(after))}
    return NodeAnswer(
        cluster=manifest.cluster,
        simulated=manifest.simulated,
        start=manifest.start,
        end=manifest.end,
        region=where,
        today=today,
        before=before,
        after=after,
        notes=(*said, *burstable_notes(types)),
        month=month,
        advice=advice,
        graviton=arm,
    )


def planned(
    snapshot: Snapshot,
    settings: NodeSettings,
    prices: PriceSettings,
    names: tuple[PlanName, ...] = PLAN_NAMES,
    advice: Advice | None = None,
) -> NodePlans:
    """`plans_of` at the prices of the snapshot's region."""
    catalogue, _ = _catalogue(snapshot, _region_of(snapshot), prices)
    return plans_of(snapshot, catalogue, settings, names, advice)


def _catalogue(
    snapshot: Snapshot, region: str | None, prices: PriceSettings
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    return catalogue_of(snapshot_book(snapshot, region, prices.machines))


def plans_of(
    snapshot: Snapshot,
    catalogue: pd.DataFrame,
    settings: NodeSettings,
    names: tuple[PlanName, ...] = PLAN_NAMES,
    advice: Advice | None = None,
) -> NodePlans:
    """`plan_nodes` for the snapshot's pods, with today's requests or the recommended ones.

    Raises
    ------
    NoDataError
        If no pod was seen.
    """
    return answered(
        snapshot,
        "node-plans",
        _terms(catalogue, settings, advice) | {"names": names},
        TypeAdapter(NodePlans),
        lambda: plan_nodes(
            _demand(snapshot, settings, advice),
            catalogue,
            settings,
            newest_rows(snapshot, "nodes"),
            names=names,
        ),
    )


def _demand(snapshot: Snapshot, settings: NodeSettings, advice: Advice | None) -> pd.DataFrame:
    pods, containers = snapshot.read("pods"), snapshot.read("containers")
    return scheduled_pods(pods, containers, at=settings.demand, advice=advice)


def _terms(
    catalogue: pd.DataFrame, settings: NodeSettings, advice: Advice | None
) -> dict[str, object]:
    """What plans and replays follow from besides the snapshot."""
    return {
        "catalogue": digest(catalogue),
        "settings": settings.model_dump(),
        "advice": None if advice is None else TypeAdapter(Advice).dump_python(advice),
    }


def bought_types(plans: NodePlans) -> set[str]:
    """Instance types of every plan."""
    packed = [plan.packed.node_set for plan in plans.plans if plan.packed is not None]
    promised = [plan.promised for plan in plans.plans if plan.promised is not None]
    return {name for node_set in (*packed, *promised) for name in node_set.by_type}


def month_of(
    snapshot: Snapshot,
    catalogue: pd.DataFrame,
    settings: NodeSettings,
    kind: AutoscalerKind,
    advice: Advice | None = None,
) -> MonthAnswer | None:
    """Replay the month under each setting of an autoscaler, with today's and with new requests.

    None where every node is kept, so that there is nothing an autoscaler could take away.
    """
    return answered(
        snapshot,
        "month",
        _terms(catalogue, settings, advice) | {"kind": kind},
        TypeAdapter(MonthAnswer | None),
        lambda: _month(snapshot, catalogue, settings, kind, advice),
    )


def _month(
    snapshot: Snapshot,
    catalogue: pd.DataFrame,
    settings: NodeSettings,
    kind: AutoscalerKind,
    advice: Advice | None,
) -> MonthAnswer | None:
    pods, containers = snapshot.read("pods"), snapshot.read("containers")
    nodes = snapshot.read("nodes")
    kept = staying(nodes, pod_days(pods, containers))
    nodes = nodes[~nodes["node"].astype(str).isin(kept)]
    if kept and nodes.empty:
        return None
    pods = pods[~pods["node"].astype("string").isin(kept).fillna(False).astype(bool)]
    today = pod_days(pods, containers)
    new = None if advice is None else pod_days(pods, containers, advice)

    newest = [newest_rows(snapshot, table) for table in ("pods", "containers", "pdbs")]
    held = held_pods(kind, pods, newest[2])

    pods_a_day = len(today) // max(today["day"].nunique(), 1)
    orders = max(_FEWEST_ORDERS, min(_ORDERS, _PODS_TRIED // max(pods_a_day, 1)))

    def replayed(days: pd.DataFrame, scalers: tuple[Autoscaler, ...]) -> list[MonthReplay]:
        return replay_settings(days, catalogue, nodes, scalers, settings, orders, held)

    def trials(*scalers: Autoscaler) -> tuple[Trial, ...]:
        before = replayed(today, scalers)
        after = [None] * len(before) if new is None else replayed(new, scalers)
        return tuple(Trial(*each) for each in zip(scalers, before, after, strict=True))

    said = tuple(holds(kind, *newest, minimum=settings.group_minimum))
    tried = MonthAnswer(trials(*TRIED[kind]), mean_nodes(nodes), said)
    wide = trials(Autoscaler("karpenter", replaces=True)) if kind == "karpenter" else (None,)
    best = tried.realising
    calm = trials(*calmer(best.autoscaler, best.end.ends.high))
    return replace(tried, calmer=calm, replacement=wide[0])


def mean_nodes(nodes: pd.DataFrame) -> float:
    """Mean number of nodes at once over the days of the table, from when each was seen."""
    if nodes.empty:
        return 0.0
    window = pd.Timedelta(seconds=WINDOW_SECONDS)
    seen = pd.to_timedelta(nodes["last_seen"] - nodes["first_seen"]) + window
    seconds = seen.dt.total_seconds()
    start = nodes["first_seen"].min() - window
    return float(seconds.sum() / (nodes["last_seen"].max() - start).total_seconds())


def _region_of(snapshot: Snapshot) -> str | None:
    known = newest_rows(snapshot, "nodes")["region"].dropna().astype(str)
    return snapshot.manifest.region or (str(known.iloc[0]) if len(known) else None)
