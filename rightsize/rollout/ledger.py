"""Money of the phases: node sets of the types in use, one after the other, each priced once.

Every stage is planned with all stages before it applied, so that nothing is counted twice: what a
phase saves is what the node set falls by when it joins. A request that frees no node saves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.config import Settings
from rightsize.cost.answer import price_answer
from rightsize.cost.plan import PlanCost, Terms, price_plan
from rightsize.cost.planned import planned, quiet_share
from rightsize.cost.saving import saving
from rightsize.errors import NoDataError
from rightsize.nodes.demand import scheduled_pods
from rightsize.nodes.plan import NodePlan
from rightsize.nodes.plans import plan_nodes, plan_same_type
from rightsize.nodes.requests import with_advice
from rightsize.prices.shapes import catalogue_of
from rightsize.results import Advice, Interval
from rightsize.review.review import at_end_state
from rightsize.rollout.model import Certainty, PhaseMoney, PhaseName
from rightsize.rollout.parts import SIZE_PHASES, phase_of
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import WORKLOAD, newest_rows

Floats = npt.NDArray[np.float64]

LEAST_MEMORY = 40.0 * 2**20
"""Smallest memory request of a sidecar, as `policy.floor_memory` has it."""
_KEY = ["namespace", "pod"]


@dataclass(frozen=True)
class Bill:
    """What the cluster costs today, and the terms under which every stage is priced."""

    terms: Terms
    today: PlanCost
    before: PlanCost
    """Node set of the types in use that today's requests need."""
    quiet: float


@dataclass(frozen=True)
class Demand:
    """Pods of the busiest hour with three sets of requests; arrays of shape (P,)."""

    pods: pd.DataFrame
    step: pd.DataFrame
    end: pd.DataFrame
    phase: npt.NDArray[np.object_]
    """Phase that sizes each pod."""
    sidecar_cpu: Floats
    """Request of the pod's sidecar at this step, cores; 0 without one."""
    sidecar_memory: Floats
    """The same at the end state, bytes."""


class Ledger:
    """Plans and prices a stage at a time.

    Raises
    ------
    NoDataError
        Without pods or nodes, or where no node set of the types in use can be planned.
    """

    def __init__(self, snapshot: Snapshot, advice: Advice, settings: Settings) -> None:
        pods, containers = snapshot.read("pods"), snapshot.read("containers")
        self._nodes = newest_rows(snapshot, "nodes")
        if self._nodes.empty:
            raise NoDataError("no node is in the snapshot", hint="collect with kube-state-metrics")
        self._settings = settings.nodes
        money = price_answer(snapshot, None, settings.prices, node_settings=settings.nodes)
        self._catalogue, self.prices = catalogue_of(money.terms.book)
        self.demand = _demand(pods, containers, advice, settings)
        terms, quiet = money.terms, quiet_share(pods, containers)
        self.region = money.region
        self._applied: set[PhaseName] = set()
        self._at_end = self._packed = False
        self._less = np.zeros(len(self.demand.pods))
        self._less_cpu = np.zeros(len(self.demand.pods))
        before = self._same_type(quiet, terms)
        self.bill = Bill(terms, money.today, before, quiet)
        self._last = before
        self._saved = (0, Interval.exactly(0.0), _zero(self._promised(before)))

    @property
    def nodes_today(self) -> int:
        return round(self.bill.today.nodes)

    def nothing(self, note: str) -> PhaseMoney:
        """A phase that frees no node by itself."""
        nodes = self.nodes_today - self._saved[0]
        zero = None if self.bill.before.ec2 is None else Interval.exactly(0.0)
        cumulative = None if zero is None else self._saved[1]
        return PhaseMoney(nodes, nodes, zero, cumulative, self._saved[2], "counted", note)

    def sizes(self, phase: PhaseName) -> PhaseMoney:
        """This step's requests of one phase."""
        self._applied.add(phase)
        return self._stage("counted")

    def fewer_nodes(self) -> PhaseMoney:
        """From here on the node set is held against the nodes that ran, not against a packed one."""
        self._packed = True
        money = self._stage("counted")
        if money.saving is None:
            return money
        if money.saving.mid > 0:
            note = "by filling the nodes; promised is only what lowered requests explain"
            return replace(money, note=note)
        return replace(money, note="counted in the phases before, and on the bill only now")

    def without_sidecars(self, workloads: Collection[tuple[str, str]]) -> PhaseMoney:
        """No sidecar in these workloads (namespace, name)."""
        mine = self._member(set(workloads))
        self._less_cpu = np.where(mine, self.demand.sidecar_cpu, self._less_cpu)
        self._less = np.where(mine, self.demand.sidecar_memory, self._less)
        return self._stage("predicted")

    def end_state(self) -> PhaseMoney:
        """Requests at their end state, in all phases that were applied."""
        self._at_end = True
        return self._stage("predicted")

    def after_scope(self, memory: Mapping[str, Interval]) -> PhaseMoney:
        """Sidecars' memory requests lowered by so many bytes a pod, by namespace."""
        held = self._less.copy()
        names = self.demand.pods["namespace"].astype(str)
        room = np.maximum(self.demand.sidecar_memory - LEAST_MEMORY, 0.0)
        there = (self.demand.sidecar_memory > 0) & (held == 0)
        node_sets = []
        for level in ("low", "high", "mid"):
            cut = names.map({n: getattr(m, level) for n, m in memory.items()}).fillna(0.0)
            less = np.minimum(cut.to_numpy(dtype=float), room) * there
            self._less = held + less
            node_sets.append(self._same_type(self.bill.quiet, self.bill.terms))
        ends = [saving(self._last, node_set, self.bill.terms) for node_set in node_sets[:2]]
        money = self._stage("predicted")
        known = [s.on_demand_equivalent for s in ends if s.on_demand_equivalent is not None]
        if money.saving is None or len(known) < 2:
            return money
        mids = [money.saving.mid, *(found.mid for found in known)]
        wide = Interval(min(mids), money.saving.mid, max(mids))
        return PhaseMoney(
            money.nodes_before, money.nodes_after, wide, money.cumulative, money.promised,
            money.certainty,
        )  # fmt: skip

    def other_types(self) -> tuple[NodePlan, PhaseMoney] | None:
        """The cheapest node set of other types for the pods as they now are; None if none is sure to
        cost less."""
        plans = plan_nodes(
            self._pods(), self._catalogue, self._settings, self._nodes, names=("single-type", "mix")
        ).plans
        best: tuple[float, NodePlan, PlanCost] | None = None
        for plan in plans:
            cost = self._priced(plan, self.bill.quiet, self.bill.terms)
            if cost is None or cost.ec2 is None:
                continue
            if best is None or cost.ec2.mid < best[0]:
                best = (cost.ec2.mid, plan, cost)
        if best is None:
            return None
        found = saving(self._last, best[2], self.bill.terms).on_demand_equivalent
        if found is None or found.mid <= 0 or found.low <= 0:
            return None
        return best[1], self._join(best[2], "predicted")

    def _stage(self, certainty: Certainty) -> PhaseMoney:
        return self._join(self._same_type(self.bill.quiet, self.bill.terms), certainty)

    def _join(self, cost: PlanCost, certainty: Certainty) -> PhaseMoney:
        nodes = self._nodes_saved(cost)
        cumulative = self._cumulative(cost)
        promised = self._promised(cost) if certainty == "counted" else None
        own: Interval | None = None
        if cumulative is not None:
            mid = cumulative.mid - self._saved[1].mid
            step = saving(self._last, cost, self.bill.terms).on_demand_equivalent
            ends = (mid,) if step is None else (step.low, step.high, mid)
            # What packing frees beside the requests has no range of its own.
            own = (
                Interval(min(ends), mid, max(ends)) if len(set(ends)) > 1 else Interval.exactly(mid)
            )
        found = PhaseMoney(
            self.nodes_today - self._saved[0],
            self.nodes_today - nodes,
            own,
            cumulative,
            promised,
            certainty,
        )
        self._last = cost
        self._saved = (nodes, cumulative or self._saved[1], promised)
        return found

    def _nodes_saved(self, cost: PlanCost) -> int:
        overall = self.nodes_today - round(cost.nodes)
        by_requests = round(self.bill.before.nodes) - round(cost.nodes)
        return overall if self._against_today else min(by_requests, max(overall, 0))

    @property
    def _against_today(self) -> bool:
        """The nodes that ran are as many as today's requests need, or more."""
        return self._packed and round(self.bill.before.nodes) <= self.nodes_today

    def _cumulative(self, cost: PlanCost) -> Interval | None:
        overall = saving(self.bill.today, cost, self.bill.terms).on_demand_equivalent
        by_requests = saving(self.bill.before, cost, self.bill.terms).on_demand_equivalent
        return overall if self._against_today else least(by_requests, overall)

    def _promised(self, cost: PlanCost) -> Interval | None:
        """As `rightsize cost` promises: the lesser of both views."""
        overall = saving(self.bill.today, cost, self.bill.terms).realisable
        by_requests = saving(self.bill.before, cost, self.bill.terms).realisable
        return least(by_requests, overall)

    def _same_type(self, quiet: float, terms: Terms) -> PlanCost:
        plan = plan_same_type(self._pods(), self._catalogue, self._settings, self._nodes)
        cost = self._priced(plan, quiet, terms)
        if cost is None:
            raise NoDataError(
                f"no node set of the types in use can be planned: {plan.reason or 'none passes'}",
                hint="see rightsize nodes",
            )
        return cost

    def _priced(self, plan: NodePlan, quiet: float, terms: Terms) -> PlanCost | None:
        node_set = planned(plan, quiet)
        return None if node_set is None else price_plan(node_set, terms)

    def _pods(self) -> pd.DataFrame:
        """Pods with the requests of the stages applied so far."""
        d = self.demand
        sized = np.isin(d.phase, list(self._applied))
        then = d.end if self._at_end else d.step
        cpu = np.where(sized, then["cpu"], d.pods["cpu"]) - self._less_cpu
        memory = np.where(sized, then["memory"], d.pods["memory"]) - self._less
        return d.pods.assign(cpu=np.maximum(cpu, 0.0), memory=np.maximum(memory, 0.0))

    def _member(self, workloads: set[tuple[str, str]]) -> npt.NDArray[np.bool_]:
        pods = self.demand.pods
        pairs = zip(pods["namespace"].astype(str), pods["workload"].astype(str), strict=True)
        return np.array([pair in workloads for pair in pairs], dtype=bool)


def least(one: Interval | None, other: Interval | None) -> Interval | None:
    """What may be counted of two views: the lesser, and nothing where the second is negative."""
    if one is None or other is None:
        return None
    ends = [
        min(a, max(b, 0.0))
        for a, b in ((one.low, other.low), (one.mid, other.mid), (one.high, other.high))
    ]
    return Interval(min(ends), ends[1], max(ends))


def _zero(known: Interval | None) -> Interval | None:
    return None if known is None else Interval.exactly(0.0)


def _demand(
    pods: pd.DataFrame, containers: pd.DataFrame, advice: Advice, settings: Settings
) -> Demand:
    at = settings.nodes.demand
    now = scheduled_pods(pods, containers, at=at)
    if now.empty:
        raise NoDataError("no pod is in the snapshot", hint="collect with kube-state-metrics")
    end = at_end_state(advice)
    own = {row.identity: phase_of(row) for row in advice.recommendations}
    names = zip(*(now[c].astype(str) for c in WORKLOAD), strict=True)
    cpu, _ = _sidecars(now, containers, pods, advice)
    _, memory = _sidecars(now, containers, pods, end)
    return Demand(
        pods=now,
        step=scheduled_pods(pods, containers, at=at, advice=advice),
        end=scheduled_pods(pods, containers, at=at, advice=end),
        phase=np.array(
            [own.get((*n[:2], None), own.get(n, SIZE_PHASES[1])) for n in names], dtype=object
        ),
        sidecar_cpu=cpu,
        sidecar_memory=memory,
    )


def _sidecars(
    there: pd.DataFrame, containers: pd.DataFrame, pods: pd.DataFrame, advice: Advice
) -> tuple[Floats, Floats]:
    """Requests of each pod's sidecar under an advice: cores and bytes, shape (P,)."""
    ours = containers[containers["component"] == "sidecar"]
    sized = with_advice(ours, pods, advice)
    sized = sized.assign(**{name: sized[name].astype(str) for name in _KEY})
    last = sized.sort_values("day", kind="stable").drop_duplicates(_KEY, keep="last")
    keys = there[_KEY].astype(str)
    joined = keys.merge(last[[*_KEY, "cpu_request", "memory_request"]], on=_KEY, how="left")
    cpu, memory = (
        joined[name].fillna(0.0).to_numpy(dtype=np.float64)
        for name in ("cpu_request", "memory_request")
    )
    return cpu, memory
