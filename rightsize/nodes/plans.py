"""Three plans for a set of pods: the same type, the cheapest single type, the cheapest mix."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.errors import NoDataError, UsageError
from rightsize.nodes.bound import lower_bound
from rightsize.nodes.even_zones import evened_over_zones
from rightsize.nodes.host_spread import held_to_spread
from rightsize.nodes.inventory import read_inventory
from rightsize.nodes.kept import Split, split, with_kept
from rightsize.nodes.layout import Layout, lay_out
from rightsize.nodes.offers import Offers, find_offers
from rightsize.nodes.packing import Packed, pack
from rightsize.nodes.plan import (
    PLAN_NAMES,
    Binding,
    NodePlan,
    NodePlans,
    NodeSet,
    PackedNodeSet,
    PlanName,
    node_set_of,
    placement_of,
)
from rightsize.nodes.problem import RESOURCES, Flags, Floats, Ints, Problem, undominated
from rightsize.nodes.promise import Promised, promise
from rightsize.nodes.rules import parse_rules
from rightsize.nodes.work import Clock
from rightsize.results import Rejected

_SINGLES_PACKED = 6
"""Single types packed in earnest: those of the lowest bounds."""
_SINGLES_PROMISED = 3
_SMALLER_MIXES = 2
_SPREAD_BINDS = 1.02
_QUICK_SECONDS = 1.0


def plan_nodes(
    pods: pd.DataFrame,
    catalogue: pd.DataFrame,
    settings: NodeSettings | None = None,
    nodes: pd.DataFrame | None = None,
    *,
    names: tuple[PlanName, ...] = PLAN_NAMES,
) -> NodePlans:
    """Find the nodes that a set of pods needs, in three ways.

    Parameters
    ----------
    pods : DataFrame
        As of `scheduled_pods`: `namespace`, `workload`, `workload_kind`, `pod`, `cpu` (cores),
        `memory` (bytes), `daemonset`; `scheduling`, `labels`, `started`, `unset` where known.
    catalogue : DataFrame
        `rightsize.prices.catalogue.priced_types`: shapes with `usd_per_hour` (NaN: unknown), and
        `spot_usd_per_hour` where Spot may be bought.
    nodes : DataFrame, optional
        One day of the snapshot's table `nodes`: types, zones, labels and taints in use.
    names : tuple of PlanName
        Plans to make; all three by default.

    Raises
    ------
    NoDataError
        Without pods.
    UsageError
        If the settings leave no instance type with a price.
    """
    chosen = settings or NodeSettings()
    if pods.empty:
        raise NoDataError("no pod ran at that time, so there is nothing to plan for")
    apart = split(pods, nodes, catalogue)
    pods = apart.pods
    inventory = read_inventory(apart.nodes, _asked(pods))
    offers = find_offers(catalogue, inventory, chosen)
    if offers.table.empty:
        raise UsageError(
            "no instance type is left that is allowed, known and priced",
            hint="allow more with --families, --sizes or --arch, or give prices of the region",
        )
    layout = lay_out(pods, offers.table, inventory, chosen)
    if layout.problem.pods == 0:
        plans = [_nothing_to_place(name, layout, apart) for name in PLAN_NAMES if name in names]
        return _plans_of(apart, layout, offers, plans)
    plans = [_same_type(layout, chosen)] if "same-type" in names else []
    if {"single-type", "mix"} & set(names):
        single = _single_type(layout, chosen, offers.excluded)
        plans += [single] if "single-type" in names else []
        plans += [_mix(layout, chosen, offers.excluded, single)] if "mix" in names else []
    return _plans_of(apart, layout, offers, plans)


def _plans_of(apart: Split, layout: Layout, offers: Offers, plans: list[NodePlan]) -> NodePlans:
    return NodePlans(
        pods=int((~apart.pods["daemonset"].astype(bool)).sum()),
        plans=tuple(with_kept(plan, apart.kept) for plan in plans),
        unplaced=layout.unplaced,
        assumptions=(*apart.said, *offers.assumptions, *layout.assumptions),
        coverage=offers.coverage,
    )


def _nothing_to_place(name: PlanName, layout: Layout, apart: Split) -> NodePlan:
    """The answer where no pod is left that some node of the offers could take."""
    if layout.unplaced:
        return _none(name, f"no pod fits any allowed node: {layout.unplaced[0].reason}")
    if apart.kept.groups:
        why = "every pod but those of DaemonSets runs on nodes that are kept as they are"
        return replace(_none(name, why), promised=NodeSet(()))
    return _none(name, "only pods of DaemonSets, so nothing needs a node of its own")


def plan_same_type(
    pods: pd.DataFrame,
    catalogue: pd.DataFrame,
    settings: NodeSettings | None = None,
    nodes: pd.DataFrame | None = None,
    *,
    packed_alone: bool = False,
) -> NodePlan:
    """The first plan of `plan_nodes` alone, for callers that ask many times.

    With `packed_alone` nothing is promised, which takes a fraction of the work.
    """
    chosen = settings or NodeSettings()
    asked = hashlib.sha256(f"{chosen.model_dump_json()} {packed_alone}".encode())
    for table in (pods, catalogue, nodes):
        asked.update(b"-" if table is None else _content(table))
    key = asked.digest()
    if key not in _SAME_TYPE:
        apart = split(pods, nodes, catalogue)
        inventory = read_inventory(apart.nodes, _asked(apart.pods))
        offers = find_offers(catalogue, inventory, chosen)
        layout = lay_out(apart.pods, offers.table, inventory, chosen)
        if layout.problem.pods == 0:
            plan = _nothing_to_place("same-type", layout, apart)
        else:
            plan = _same_type(layout, chosen, packed_alone)
        if len(_SAME_TYPE) >= _PLANS_KEPT:
            del _SAME_TYPE[next(iter(_SAME_TYPE))]
        _SAME_TYPE[key] = with_kept(plan, apart.kept)
    return _SAME_TYPE[key]


_SAME_TYPE: dict[bytes, NodePlan] = {}
"""By all that it follows from. Phases that change no request, and studies of today, ask for the same one."""
_PLANS_KEPT = 32


def _content(table: pd.DataFrame) -> bytes:
    """What makes a table the same for planning: names, types and values."""
    head = repr([(name, str(dtype)) for name, dtype in table.dtypes.items()]).encode()
    return head + pd.util.hash_pandas_object(table).to_numpy().tobytes()


def _asked(pods: pd.DataFrame) -> frozenset[str]:
    if "scheduling" not in pods.columns:
        return frozenset()
    texts = {t for t in pods["scheduling"] if isinstance(t, str) and t}
    return frozenset().union(*(parse_rules(text).keys for text in texts))


def _none(name: PlanName, reason: str, excuses: tuple[Rejected, ...] = ()) -> NodePlan:
    return NodePlan(name, None, None, "nothing", None, excuses, reason)


def _priced(layout: Layout) -> Flags:
    """Offers that are allowed and have a price."""
    price = layout.offers["usd_per_hour"].to_numpy(dtype=float)
    return np.asarray(np.isfinite(price) & layout.offers["allowed"].to_numpy(dtype=bool))


def _clock(layout: Layout, settings: NodeSettings) -> Clock:
    """The work allowed for one plan; more than 1,000 pods get more, by the square root."""
    return Clock(settings.time_limit * max(layout.problem.pods / 1000, 1.0) ** 0.5)


def _same_type(layout: Layout, settings: NodeSettings, packed_alone: bool = False) -> NodePlan:
    keep = np.flatnonzero(layout.offers["in_use"].to_numpy(dtype=bool))
    if not len(keep):
        return _none("same-type", "no type of the nodes in use is known")
    if packed_alone:
        found = _pack(layout, keep, settings, _clock(layout, settings), None)
        if found is None:
            return _none("same-type", _why_not(layout, keep))
        return _described(layout, keep, "same-type", found, None, ())
    return _plan(layout, keep, "same-type", settings, None, _clock(layout, settings))


def _single_type(
    layout: Layout, settings: NodeSettings, excluded: tuple[Rejected, ...]
) -> NodePlan:
    clock = _clock(layout, settings)
    priced = _priced(layout)
    excuses = list(excluded)
    ranked: list[tuple[float, str, Ints]] = []
    names = layout.offers["instance_type"].astype(str).to_numpy()
    for name in sorted(set(names[priced])):
        keep = np.flatnonzero(priced & (names == name))
        bound = _bound(layout, keep)
        if np.isfinite(bound):
            ranked.append((bound, name, keep))
        else:
            excuses.append(Rejected(name, _why_not(layout, keep)))
    ranked.sort(key=lambda item: item[:2])
    packed: list[tuple[float, str, Ints, Packed]] = []
    for bound, name, keep in ranked[:_SINGLES_PACKED]:
        if packed and bound >= min(packed, key=lambda item: item[0])[0]:
            break
        share = max(clock.part(1 / _SINGLES_PACKED).left, 0.5)
        found = _pack(layout, keep, settings, Clock(share, clock.pace), None)
        if found is not None:
            packed.append((found.cost, name, keep, found))
    packed.sort(key=lambda item: item[:2])
    best: tuple[float, str, Ints, Packed, Promised | None] | None = None
    for cost, name, keep, found in packed[:_SINGLES_PROMISED]:
        if best is not None and (clock.out or cost >= best[0]):
            break
        promised = promise(
            layout, keep, found.packing.offers, settings, clock.part(1 / _SINGLES_PROMISED)
        )
        usd = promised.usd_per_hour if promised else float("inf")
        if best is None or usd < best[0]:
            best = (usd, name, keep, found, promised)
    if best is None:
        reason = "no single type that is allowed and priced can hold every pod"
        return _none("single-type", reason, tuple(excuses))
    _, chosen, keep, found, promised = best
    near = [_excuse(layout, other, bound, kept) for bound, other, kept in ranked if other != chosen]
    return _described(layout, keep, "single-type", found, promised, (*near, *excuses))


def _mix(
    layout: Layout, settings: NodeSettings, excluded: tuple[Rejected, ...], single: NodePlan
) -> NodePlan:
    keep = undominated(layout.problem, layout.open_fits, np.flatnonzero(_priced(layout)))
    if not len(keep):
        return _none("mix", "no type that is allowed has a known price", excluded)
    clock = _clock(layout, settings)
    plan = _plan(layout, keep, "mix", settings, settings.max_types, clock.part(0.6))
    for halvings in range(1, _SMALLER_MIXES + 1):
        small = _smaller(layout, keep, plan, halvings)
        if clock.out or not len(small):
            break
        part = clock.part(0.5)
        other = _plan(layout, small, "mix", settings, settings.max_types, part, plan.binding)
        plan = _with_promise_of(plan, other)
    used = set(plan.packed.node_set.by_type) if plan.packed else set()
    names = layout.offers["instance_type"].astype(str).to_numpy()
    kept = set(names[keep])
    dominated = [
        Rejected(name, "another type offers at least as much of everything for no more money")
        for name in sorted(set(names[_priced(layout)]) - kept)
    ]
    unused = [
        Rejected(name, "buys less of what the pods need for its price")
        for name in sorted(kept - used)
    ]
    plan = replace(plan, excuses=(*excluded, *dominated, *unused))
    # One type alone is a mix too, and the scheduler may do better on it.
    return _with_promise_of(plan, single)


def _smaller(layout: Layout, keep: Ints, plan: NodePlan, halvings: int) -> Ints:
    """Offers of at most a half (a quarter, …) of the size of the largest packed node.

    Large nodes pack best, and cost most to hold in reserve for one that is lost.
    """
    if plan.packed is None or plan.packed.node_set.nodes == 0:
        return keep[:0]
    names = layout.offers["instance_type"].astype(str).to_numpy()[keep]
    cpu = layout.offers["vcpu"].to_numpy(dtype=float)[keep]
    largest = cpu[np.isin(names, list(plan.packed.node_set.by_type))].max()
    return np.asarray(keep[cpu <= largest / 2**halvings], dtype=np.int64)


def _with_promise_of(plan: NodePlan, other: NodePlan) -> NodePlan:
    """The plan with the other's promised node set, where that costs less."""
    mine = plan.promised.usd_per_hour if plan.promised else None
    theirs = other.promised.usd_per_hour if other.promised else None
    if theirs is None or (mine is not None and mine <= theirs + 1e-9):
        return plan
    return replace(
        plan,
        promised=other.promised,
        promised_placement=other.promised_placement,
        use=other.use,
        reason=None,
    )


def _plan(
    layout: Layout,
    keep: Ints,
    name: PlanName,
    settings: NodeSettings,
    max_types: int | None,
    clock: Clock,
    binding: Binding | None = None,
) -> NodePlan:
    """Pack, and promise; what binds is looked for where it is not given."""
    found = _pack(layout, keep, settings, clock.part(0.6), max_types)
    if found is None:
        return _none(name, _why_not(layout, keep))
    promised = promise(layout, keep, found.packing.offers, settings, clock)
    return _described(layout, keep, name, found, promised, (), binding)


def _pack(
    layout: Layout, keep: Ints, settings: NodeSettings, clock: Clock, max_types: int | None
) -> Packed | None:
    problem = replace(layout.problem.with_offers(keep), max_types=max_types)
    relaxed = None
    if layout.zoned:
        relaxed = replace(layout.relaxed.with_offers(keep), max_types=max_types)
    found = pack(problem, time_limit=clock.left, relaxed=relaxed, seed=settings.seed, clock=clock)
    if found is None:
        return None
    return held_to_spread(layout, keep, evened_over_zones(layout, keep, found))


def _bound(layout: Layout, keep: Ints) -> float:
    """Bound for these offers alone, without a limit on types."""
    return lower_bound(
        replace(layout.relaxed.with_offers(keep), max_types=None), Clock(_QUICK_SECONDS)
    )


def _described(
    layout: Layout,
    keep: Ints,
    name: PlanName,
    found: Packed,
    promised: Promised | None,
    excuses: tuple[Rejected, ...],
    binding: Binding | None = None,
) -> NodePlan:
    problem = layout.problem.with_offers(keep)
    node_set = node_set_of(layout, keep, found.packing.offers)
    known = node_set.usd_per_hour is not None
    nodes = None
    if len(node_set.by_type) == 1 and len(set(problem.price)) == 1:
        nodes = int(np.ceil(found.bound / float(problem.price[0]) - 1e-6))
    placement = placement_of(layout, keep, found.packing.offers, found.packing.where)
    packed = PackedNodeSet(node_set, placement, found.bound if known else None, nodes, found.gap)
    final = promised.offers if promised else found.packing.offers
    total = problem.capacity[final].sum(axis=0)
    use = tuple(float(share) for share in problem.demand / np.maximum(total, 1.0))
    return NodePlan(
        name=name,
        packed=packed,
        promised=node_set_of(layout, keep, promised.offers, promised.zones) if promised else None,
        binding=binding or binding_of(layout, keep, found.packing.offers),
        use=(use[0], use[1], use[2]),
        excuses=excuses,
        reason=None
        if promised
        else "no node set up to four times the packed one passes the replay",
        promised_placement=None
        if promised is None
        else placement_of(layout, keep, promised.offers, promised.where, promised.zones),
    )


def binding_of(layout: Layout, keep: Ints, offers: Ints) -> Binding:
    """What makes the node set as large as it is."""
    if layout.problem.pods == 0:
        return "nothing"
    problem = replace(layout.relaxed.with_offers(keep), max_types=None)
    free = replace(
        problem,
        group=np.full_like(problem.group, -1),
        limit=np.zeros(0, dtype=np.int64),
        floor=0,
        fits=_any_zone(problem),
    )
    quick = Clock(_QUICK_SECONDS)
    bound = lower_bound(problem, quick)
    # The bound with parts of nodes is nearly always enough to know, and takes no search.
    if (
        bound > lower_bound(free, quick, whole=False) * _SPREAD_BINDS
        and bound > lower_bound(free, quick) * _SPREAD_BINDS
    ):
        return "zone spread" if layout.zoned else "replica spread"
    total = layout.problem.with_offers(keep).capacity[offers].sum(axis=0)
    return _scarcest(layout.problem.demand, total)


def _any_zone(problem: Problem) -> Flags:
    fits = problem.fits.copy()
    for kind in np.unique(problem.kind):
        members = problem.kind == kind
        fits[:, members] = fits[:, members].any(axis=1, keepdims=True)
    return fits


def _scarcest(demand: Floats, total: Floats) -> Binding:
    worst = int((demand / np.maximum(total, 1.0)).argmax())
    names: tuple[Binding, Binding, Binding] = ("CPU", "memory", "pod density")
    return names[worst]


def _excuse(layout: Layout, name: str, bound: float, keep: Ints) -> Rejected:
    problem = layout.problem.with_offers(keep)
    limit = _scarcest(problem.demand, problem.capacity.max(axis=0))
    what = {"pod density": "pod slots bind", "memory": "memory binds"}.get(limit, "CPU binds")
    nodes = int(np.ceil(bound / problem.price.max() - 1e-6))
    return Rejected(name, f"{what}, at least {nodes} nodes, {bound:.3f} USD/h")


def _why_not(layout: Layout, keep: Ints) -> str:
    problem = layout.problem.with_offers(keep)
    unfit = ~problem.fits.any(axis=1) & (problem.count > 0)
    if not unfit.any():
        return "the rules of the pods and of the plan exclude each other"
    k = int(np.flatnonzero(unfit)[problem.size[unfit, 0].argmax()])
    owner = layout.owners[k].key
    most = problem.capacity.max(axis=0)
    short = [RESOURCES[r] for r in range(3) if problem.size[k, r] > most[r]] or [
        "its node selector, taints or zone"
    ]
    return (
        f"{int(problem.count[unfit].sum())} pods do not fit, such as those of "
        f"{owner[0]}/{owner[2]} ({', '.join(short)})"
    )
