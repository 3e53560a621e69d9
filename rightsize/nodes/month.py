"""The month again: how many nodes an autoscaler would have run, hour by hour, from those that ran.

The replay starts from the nodes of the first hour with their pods where they were. At the end of
every hour the pods that ended leave, new ones are scheduled in the order of their start, and the
autoscaler acts (`cluster_autoscaler`, `karpenter`). A pod without room gets a node within its hour: Cluster
Autoscaler looks every 10 s and Karpenter at once, and an EC2 node joins within minutes.

Each node that joins or leaves is one scaling event, as in an Auto Scaling group's activity
history. The first hour's nodes are there from the start and are no events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.errors import NoDataError
from rightsize.frames import KeptFrame
from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.cluster_autoscaler import ClusterAutoscaler
from rightsize.nodes.demand import hours_of
from rightsize.nodes.inventory import read_inventory
from rightsize.nodes.karpenter import Karpenter
from rightsize.nodes.lanes import side_by_side, timelines
from rightsize.nodes.layout import Layout, Unplaced, lay_out
from rightsize.nodes.offers import find_offers
from rightsize.nodes.problem import Flags
from rightsize.nodes.running import SPARE, FirstNodes, Lives, Running, Scaler, Start
from rightsize.snapshot.schema import WINDOW_SECONDS

_WINDOW = pd.Timedelta(seconds=WINDOW_SECONDS)
_POD = ["namespace", "pod"]
_Case = tuple[Autoscaler, int]
"""A setting, and an order of arrival."""
_SPARE_SHARE = 0.5
"""What an overprovisioning pod requests, of a node of the type most in use."""


@dataclass(frozen=True, slots=True)
class OrderRange:
    """A count over `orders` orders in which an hour's pods arrive."""

    low: int
    median: float
    high: int
    orders: int

    @classmethod
    def of(cls, counts: list[int]) -> OrderRange:
        return cls(min(counts), float(np.median(counts)), max(counts), len(counts))

    def differs(self, other: OrderRange) -> bool:
        """Whether the difference is more than chance: the ranges do not touch."""
        return self.high < other.low or other.high < self.low


@dataclass(frozen=True, eq=False)
class MonthReplay:
    """Nodes over time, in the pods' own order of start.

    `timeline` has `time` (end of the hour), `nodes`, `pods`, `added`, `removed` and `usd` (USD/h of
    all nodes, NaN where a price is unknown); the first row's nodes were there before.
    """

    autoscaler: Autoscaler
    instance_type: str
    """The type most in use."""
    timeline: KeptFrame
    unplaced: tuple[Unplaced, ...]
    types: Mapping[str, int]
    """Nodes at the end, by type."""
    ends: OrderRange
    """Nodes at the end, over the orders of arrival."""
    events: OrderRange
    """Nodes that joined or left, over the orders of arrival."""

    @property
    def node_hours(self) -> float:
        return float(self.timeline["nodes"].sum())

    @property
    def peak(self) -> int:
        return int(self.timeline["nodes"].max())

    @property
    def first(self) -> int:
        """Nodes that ran at the start."""
        return int(self.timeline["nodes"].iloc[0])

    @property
    def last(self) -> int:
        """Nodes at the end."""
        return int(self.timeline["nodes"].iloc[-1])

    @property
    def mean(self) -> float:
        return float(self.timeline["nodes"].mean())

    @property
    def usd_per_hour(self) -> float:
        """Mean price of the nodes; NaN where one is unknown."""
        return float(self.timeline["usd"].mean(skipna=False))

    @property
    def scaling_events(self) -> int:
        """Nodes that joined or left."""
        return int(self.timeline[["added", "removed"]].to_numpy().sum())


def replay_month(
    days: pd.DataFrame,
    catalogue: pd.DataFrame,
    nodes: pd.DataFrame,
    settings: NodeSettings | None = None,
    autoscaler: Autoscaler | None = None,
    orders: int = 1,
    held: pd.DataFrame | None = None,
) -> MonthReplay:
    """Replay the pods of `pod_days` from the nodes of their first hour.

    The timeline is that of the pods' own order of start. What joins and leaves depends on the order
    in which pods that start within an hour reach the scheduler, and on which of several unneeded
    nodes goes first, which nobody knows: more `orders` give the range of that.

    Parameters
    ----------
    days : DataFrame
        `pod_days`, with today's or the recommended requests.
    catalogue : DataFrame
        As for `plan_nodes`; prices decide what Karpenter buys.
    nodes : DataFrame
        The snapshot's table `nodes`, of one day or of all.
    settings : NodeSettings, optional
        Spread, CNI mode and zones; the types that Karpenter may buy; the least of each group.
    autoscaler : Autoscaler, optional
        Cluster Autoscaler with its defaults without.
    orders : int
        Orders of arrival, the pods' own included.
    held : DataFrame, optional
        `namespace` and `pod` of the pods that keep their node.

    Raises
    ------
    NoDataError
        If no node in use has a known type, or no pod ran.
    """
    scaler = autoscaler or Autoscaler("cluster-autoscaler")
    return replay_settings(days, catalogue, nodes, (scaler,), settings, orders, held)[0]


def replay_settings(
    days: pd.DataFrame,
    catalogue: pd.DataFrame,
    nodes: pd.DataFrame,
    autoscalers: Sequence[Autoscaler],
    settings: NodeSettings | None = None,
    orders: int = 1,
    held: pd.DataFrame | None = None,
) -> list[MonthReplay]:
    """The same month under several settings, as `replay_month` under each."""
    chosen = settings or NodeSettings()
    known = nodes[nodes["instance_type"].notna()]
    offered = known["instance_type"].isin(catalogue["instance_type"])
    if days.empty or not offered.any():
        raise NoDataError(
            "the replay needs pods and the type of at least one node",
            hint="collect node labels (kube_node_labels) or node objects, or leave --replay out",
        )
    hours = hours_of(days)
    ran = _nodes_at(known, hours[0])
    # Nodes of a type that nobody knows count as the commonest of those that are known.
    main = ran if ran["instance_type"].isin(catalogue["instance_type"]).any() else known
    names = main.loc[main["instance_type"].isin(catalogue["instance_type"]), "instance_type"]
    name = str(names.astype(str).value_counts().sort_index(kind="stable").idxmax())
    lives = _lives(days)
    minimum = dict(chosen.group_minimum)
    pinned = _pinned(lives, held)

    @cache
    def begun(replaces: bool, spare: bool) -> FirstNodes:
        pods = _with_spare(lives, hours, ran, name) if spare else lives
        layout = _lay_out(pods, catalogue, ran, chosen, replaces)
        when = Lives.of(layout.pods, hours)
        kept = pinned | _stuck(pods, layout)
        start = Start(ran, name, when, _held(layout, held), minimum, kept)
        return FirstNodes.of(layout, start)

    runs: dict[_Case, _Run] = {}
    for cases in _by_pods(list(product(autoscalers, range(orders)))):
        first = cases[0][0]
        begin = begun(first.replaces, first.spare_pod)
        at_once = side_by_side(begin.layout, len(ran))
        # One setting in all orders says which others go the same way; then all that are left.
        while waiting := [case for case in cases if case not in runs]:
            now = [case for case in waiting if runs.keys() & set(cases) or case[0] == first]
            runs |= _run(begin, now[:at_once], waiting)
    return [
        _replayed(
            begun(scaler.replaces, scaler.spare_pod),
            scaler,
            [runs[scaler, i] for i in range(orders)],
        )
        for scaler in autoscalers
    ]


@dataclass(frozen=True, eq=False)
class _Run:
    """The month in one order of arrival."""

    timeline: pd.DataFrame
    types: dict[str, int]


def _replayed(begin: FirstNodes, autoscaler: Autoscaler, runs: list[_Run]) -> MonthReplay:
    timelines = [run.timeline for run in runs]
    return MonthReplay(
        autoscaler,
        begin.start.main_type,
        timelines[0],
        begin.layout.unplaced,
        runs[0].types,
        OrderRange.of([int(one["nodes"].iloc[-1]) for one in timelines]),
        OrderRange.of([int(one[["added", "removed"]].to_numpy().sum()) for one in timelines]),
    )


def _by_pods(cases: Sequence[_Case]) -> Iterator[list[_Case]]:
    """Those with the same pods and types of nodes."""
    by: dict[tuple[str, bool, bool], list[_Case]] = {}
    for one in cases:
        by.setdefault((one[0].kind, one[0].replaces, one[0].spare_pod), []).append(one)
    yield from by.values()


def _run(begin: FirstNodes, now: Sequence[_Case], waiting: Sequence[_Case]) -> dict[_Case, _Run]:
    """The month in each of these cases, and in those of the waiting ones in which it goes the same way."""
    own = begin.layout.offers["instance_type"]
    main = np.flatnonzero((own == begin.start.main_type).to_numpy(dtype=bool))
    kinds: dict[str, type[ClusterAutoscaler] | type[Karpenter]] = {
        "cluster-autoscaler": ClusterAutoscaler,
        "karpenter": Karpenter,
    }
    replays: list[tuple[Running, Scaler]] = []
    for autoscaler, order in now:
        later = set(waiting) - set(now)
        others = [one for one, of in waiting if of == order and (one, of) in later]
        running = Running(begin, order)
        replays.append((running, kinds[autoscaler.kind](autoscaler, running, main, others)))
    found: dict[_Case, _Run] = {}
    for (autoscaler, order), (running, scaler), timeline in zip(
        now, replays, timelines(replays), strict=True
    ):
        cluster = running.cluster
        types = own.iloc[cluster.offers[cluster.alive]].astype(str).value_counts()
        run = _Run(timeline, {str(name): int(count) for name, count in types.items()})
        found |= {(one, order): run for one in (autoscaler, *scaler.alike)}
    return found


def _nodes_at(nodes: pd.DataFrame, hour: pd.Timestamp) -> pd.DataFrame:
    """The nodes that were there at the end of an hour, once each; those of the first day else."""
    there = nodes.iloc[:0]
    if "last_seen" in nodes:
        there = nodes[(nodes["first_seen"] - _WINDOW < hour) & (hour <= nodes["last_seen"])]
    if there.empty:
        there = nodes[nodes["day"] == nodes["day"].min()] if "day" in nodes else nodes
    return there.drop_duplicates("node", keep="last").reset_index(drop=True)


def _lives(days: pd.DataFrame) -> pd.DataFrame:
    """One row a pod: from the first day's `first_seen` to the last day's `last_seen`."""
    ordered = days.sort_values("day", kind="stable")
    ends = ordered.groupby(_POD, observed=True).agg(
        start=("first_seen", "min"), ended=("last_seen", "max")
    )
    last = ordered.drop_duplicates(_POD, keep="last")
    lives = last.drop(columns=["first_seen", "last_seen"]).merge(ends, on=_POD)
    lives["start"] = lives["start"] - _WINDOW
    return lives


def _with_spare(
    lives: pd.DataFrame, hours: pd.DatetimeIndex, nodes: pd.DataFrame, main: str
) -> pd.DataFrame:
    """The pods and one of half a node of the type most in use, all the month."""
    own = nodes[nodes["instance_type"].astype(str) == main]
    spare = lives[~lives["daemonset"].astype(bool)].tail(1)
    spare = spare.assign(
        namespace=SPARE,
        workload=SPARE,
        workload_kind="Deployment",
        pod=SPARE,
        cpu=own["allocatable_cpu"].min() * _SPARE_SHARE,
        memory=own["allocatable_memory"].min() * _SPARE_SHARE,
        scheduling=None,
        labels=None,
        node=None,
        start=hours[0] - _WINDOW,
        ended=hours[-1],
    )
    return pd.concat([lives, spare], ignore_index=True)


def _stuck(lives: pd.DataFrame, layout: Layout) -> frozenset[str]:
    """Nodes of pods that no node would take today: no autoscaler finds another place for them."""
    if not layout.unplaced:
        return frozenset()
    names = pd.DataFrame([(pod.namespace, pod.pod) for pod in layout.unplaced], columns=_POD)
    found = lives[[*_POD, "node"]].astype(dict.fromkeys(_POD, str)).merge(names)
    return frozenset(found["node"].dropna().astype(str))


def _pinned(lives: pd.DataFrame, held: pd.DataFrame | None) -> frozenset[str]:
    """Nodes with a pod of a DaemonSet among those that keep their node."""
    agents = lives[lives["daemonset"].astype(bool)]
    if held is None or held.empty or agents.empty:
        return frozenset()
    keeping = (
        agents[_POD]
        .astype(str)
        .merge(held[_POD].astype(str).drop_duplicates(), how="left", indicator=True)
    )
    kept = agents.loc[(keeping["_merge"] == "both").to_numpy(), "node"]
    return frozenset(kept.dropna().astype(str))


def _held(layout: Layout, held: pd.DataFrame | None) -> Flags:
    if held is None or held.empty:
        return np.zeros(len(layout.pods), dtype=bool)
    keeping = set(zip(held["namespace"].astype(str), held["pod"].astype(str), strict=True))
    pods = zip(layout.pods["namespace"].astype(str), layout.pods["pod"].astype(str), strict=True)
    return np.array([pod in keeping for pod in pods], dtype=bool)


def _lay_out(
    lives: pd.DataFrame,
    catalogue: pd.DataFrame,
    nodes: pd.DataFrame,
    settings: NodeSettings,
    replaces: bool,
) -> Layout:
    inventory = read_inventory(nodes)
    offers = find_offers(catalogue, inventory, settings).table
    used = offers["instance_type"].isin(inventory.types)
    if not used.any():
        raise NoDataError("the instance type in use is not in the catalogue")
    bought = used | offers["allowed"] if replaces else used
    free = settings.model_copy(update={"floor_per_zone": 0})
    own = offers[bought].drop_duplicates("instance_type")
    return lay_out(lives, own, inventory, free)
