"""From pods, offers and rules to the arrays of a packing problem."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.nodes.acceptance import ANY_ZONE, Acceptance
from rightsize.nodes.inventory import Inventory, Pool
from rightsize.nodes.problem import Flags, Floats, Ints, Problem
from rightsize.nodes.rules import (
    HOSTNAME,
    ZONE,
    Rules,
    Taint,
    Toleration,
    matches,
    parse_rules,
)
from rightsize.nodes.spread import Owner, ZoneSplit, owner_of
from rightsize.nodes.units import to_whole

_USD_PER_VCPU = 0.05
OWNER = ["namespace", "workload_kind", "workload"]


@dataclass(frozen=True)
class Unplaced:
    """A pod that no node can hold, and why."""

    namespace: str
    workload: str
    pod: str
    reason: str


@dataclass(frozen=True, eq=False)
class Layout:
    """A packing problem with what its numbers stand for.

    `offers` has one row for each offer of the problem: `instance_type`, `capacity_type`, `zone`,
    `pool` (index into `pools`), `usd_per_hour`, `in_use`. `pods` are the placeable pods in the
    order of `problem.classes`. `relaxed` holds the same pods without the choices made for the
    odd pods of a spread, for the bound.
    """

    problem: Problem
    relaxed: Problem
    open_fits: Flags
    """(K, O) offers each class may use, whatever zone the packing chose for it."""
    offers: pd.DataFrame
    pods: pd.DataFrame
    rules: tuple[Rules, ...]
    """Rules of each class."""
    owners: tuple[Owner, ...]
    """Workload of each class."""
    pools: tuple[Pool, ...]
    zones: tuple[str, ...]
    zoned: bool
    """Zones bind: offers differ by zone."""
    unplaced: tuple[Unplaced, ...]
    assumptions: tuple[str, ...]


def lay_out(
    pods: pd.DataFrame, offers: pd.DataFrame, inventory: Inventory, settings: NodeSettings
) -> Layout:
    """Group equal pods into classes and find out which offers each may use.

    Parameters
    ----------
    pods : DataFrame
        `namespace`, `workload`, `workload_kind`, `pod`, `cpu` (cores), `memory` (bytes),
        `daemonset`; `scheduling`, `labels` (JSON), `started` where known.
    offers : DataFrame
        `Offers.table`.
    inventory : Inventory
        Zones and pools of the nodes in use.
    settings : NodeSettings
        `spread`, `floor_per_zone`, `max_types`, the on-demand share, `zones`.
    """
    placing = _read_pods(pods.reset_index(drop=True), inventory, settings)
    zones = settings.zones or inventory.zones or ("zone-1", "zone-2", "zone-3")
    zoned = _zones_matter(placing, settings)
    wide = _by_zone_and_pool(offers, zones if zoned else (ANY_ZONE,), inventory.pools)
    asked = Acceptance(wide, inventory)
    places = _Places(wide, _net_capacity(placing, wide, asked), zones, zoned)
    fits_of = {text: asked.of(rule) for text, rule in placing.distinct_rules}
    drafts, unplaced = _classes(placing, places, fits_of)
    return _assemble(placing, places, drafts, unplaced, inventory, settings)


@dataclass(frozen=True, eq=False)
class _Pods:
    """The pods, with their rules as text and read (in the order of the rows), and their workloads."""

    table: pd.DataFrame
    texts: list[str | None]
    rules: list[Rules]
    movable: Flags
    owners: dict[tuple[str, str, str], Owner]

    @property
    def distinct_rules(self) -> list[tuple[str | None, Rules]]:
        return list(dict(zip(self.texts, self.rules, strict=True)).items())


@dataclass(frozen=True, eq=False)
class _Places:
    """Offers by zone and pool, what each has left beside its DaemonSets, and the zones there are."""

    offers: pd.DataFrame
    capacity: Floats
    zones: tuple[str, ...]
    zoned: bool


def _read_pods(table: pd.DataFrame, inventory: Inventory, settings: NodeSettings) -> _Pods:
    texts = [_text(t) for t in table.get("scheduling", pd.Series(None, table.index))]
    rules = [parse_rules(text) for text in texts]
    _tolerate_own_nodes(table, texts, rules, inventory)
    labels = [_labels(t) for t in table.get("labels", pd.Series(None, table.index))]
    movable = ~table["daemonset"].to_numpy(dtype=bool)
    owners = {}
    for group, members in table[movable].groupby(OWNER, observed=True):
        key, first = _key(group), int(members.index[0])
        owners[key] = owner_of(key, len(members), rules[first], labels[first], settings.spread)
    return _Pods(table, texts, rules, movable, owners)


def _tolerate_own_nodes(
    table: pd.DataFrame, texts: list[str | None], rules: list[Rules], inventory: Inventory
) -> None:
    """Let pods of unknown rules tolerate the taints of every node that their workload runs on."""
    if not inventory.tainted or "node" not in table:
        return
    owners = list(zip(*(table[column].astype(str) for column in OWNER), strict=True))
    borne: dict[tuple[str, ...], set[Taint]] = {}
    for owner, text, node in zip(owners, texts, table["node"].astype(object), strict=True):
        if text is None:
            borne.setdefault(owner, set()).update(inventory.tainted.get(str(node), ()))
    for row, owner in enumerate(owners):
        taints = sorted(borne.get(owner, ()), key=repr) if texts[row] is None else []
        if taints:
            tolerations = tuple(Toleration(t.key, "Equal", t.value, t.effect) for t in taints)
            texts[row], rules[row] = repr(taints), Rules(tolerations=tolerations)


@dataclass(frozen=True, eq=False)
class _Draft:
    """A class before it becomes a row of arrays. `loose` pods may go to any zone."""

    owner: tuple[str, str, str]
    rules: Rules
    size: tuple[float, float]
    fits: Flags
    relaxed_fits: Flags
    pods: list[int]
    relaxed_pinned: int


def _by_zone_and_pool(
    offers: pd.DataFrame, zones: tuple[str, ...], pools: tuple[Pool, ...]
) -> pd.DataFrame:
    parts = [offers.assign(zone=zone, pool=pool) for pool in range(len(pools)) for zone in zones]
    return pd.concat(parts, ignore_index=True)


def _key(key: object) -> tuple[str, str, str]:
    assert isinstance(key, tuple)
    return str(key[0]), str(key[1]), str(key[2])


def _zones_matter(pods: _Pods, settings: NodeSettings) -> bool:
    return (
        settings.floor_per_zone > 0
        or any(owner.zone_skew is not None for owner in pods.owners.values())
        or any(ZONE in rule.keys for rule in set(pods.rules))
    )


def _net_capacity(pods: _Pods, wide: pd.DataFrame, asked: Acceptance) -> Floats:
    """(O, 3) what each offer has left once the DaemonSets that run there have their share."""
    capacity = np.column_stack(
        [
            to_whole(wide["cpu"].to_numpy(dtype=float), wide["memory"].to_numpy(dtype=float)),
            np.floor(wide["pods"].to_numpy(dtype=float)),
        ]
    )
    fixed = pods.table[~pods.movable]
    for _, members in fixed.groupby(OWNER, observed=True):
        first = int(members.index[0])
        share = to_whole(
            np.array([members["cpu"].max()]), np.array([members["memory"].max()]), up=True
        )[0]
        capacity[asked.of(pods.rules[first])] -= [*share, 1.0]
    return np.asarray(np.clip(capacity, 0, None), dtype=float)


def _classes(
    pods: _Pods, places: _Places, fits_of: dict[str | None, Flags]
) -> tuple[list[_Draft], list[Unplaced]]:
    table, rules, capacity = pods.table, pods.rules, places.capacity
    size = to_whole(
        table["cpu"].to_numpy(dtype=float), table["memory"].to_numpy(dtype=float), up=True
    )
    zone_of_offer = places.offers["zone"].to_numpy()
    load = dict.fromkeys(places.zones, 0.0)
    splits = {key: ZoneSplit(owner, load, places.zoned) for key, owner in pods.owners.items()}
    drafts: list[_Draft] = []
    unplaced: list[Unplaced] = []
    keys = list(zip(*(table[c].astype(str) for c in OWNER), strict=True))
    groups: dict[tuple[tuple[str, str, str], str | None, float, float], list[int]] = {}
    for row in np.flatnonzero(pods.movable):
        signature = (keys[row], pods.texts[row], float(size[row, 0]), float(size[row, 1]))
        groups.setdefault(signature, []).append(int(row))
    total = np.maximum(size.sum(axis=0), 1.0)
    for (key, text, cpu, memory), members in groups.items():
        accepted = fits_of[text]
        fits = accepted & (capacity >= [cpu, memory, 1.0]).all(axis=1)
        if not fits.any():
            why = _reason(rules[members[0]], accepted, capacity, cpu, memory)
            unplaced += [_named(table, member, why) for member in members]
            continue
        taken, weight = 0, float(cpu / total[0] + memory / total[1])
        for zone, share in splits[key].take(len(members), weight, zone_of_offer, fits):
            part = members[taken : taken + share.pods]
            taken += share.pods
            here = fits if zone is None else fits & (zone_of_offer == zone)
            drafts.append(
                _Draft(key, rules[members[0]], (cpu, memory), here, fits, part, share.pinned)
            )
        for late in members[taken:]:
            why = "a zone holds one pod of the workload at most, and there are too few zones"
            unplaced.append(_named(table, late, why))
    return drafts, unplaced


def _named(table: pd.DataFrame, row: int, reason: str) -> Unplaced:
    pod = table.loc[row]
    return Unplaced(str(pod["namespace"]), str(pod["workload"]), str(pod["pod"]), reason)


def _reason(rules: Rules, accepted: Flags, capacity: Floats, cpu: float, memory: float) -> str:
    if not accepted.any():
        keys = ", ".join(sorted(rules.keys)) or "taints that it does not tolerate"
        return f"no node that may be bought satisfies its node selector or taints ({keys})"
    largest = capacity[accepted].max(axis=0)
    if cpu > largest[0]:
        return f"asks for {cpu / 1000:g} cores; the largest node leaves {largest[0] / 1000:g}"
    if memory > largest[1]:
        gib = 2**30
        return f"asks for {memory / gib:.1f} GiB; the largest node leaves {largest[1] / gib:.1f}"
    return "no one node has both the CPU and the memory it asks for"


def _assemble(
    pods: _Pods,
    places: _Places,
    drafts: list[_Draft],
    unplaced: list[Unplaced],
    inventory: Inventory,
    settings: NodeSettings,
) -> Layout:
    owners, wide = pods.owners, places.offers
    limited = {key: i for i, key in enumerate(k for k, o in owners.items() if o.node_limit)}
    problem = Problem(
        size=np.array([[*d.size, 1.0] for d in drafts]).reshape(-1, 3),
        count=np.array([len(d.pods) for d in drafts], dtype=np.int64),
        capacity=places.capacity,
        price=_price(wide),
        fits=np.array([d.fits for d in drafts]).reshape(-1, len(wide)).astype(bool),
        group=np.array([limited.get(d.owner, -1) for d in drafts], dtype=np.int64),
        limit=np.array([owners[key].node_limit for key in limited], dtype=np.int64),
        avoid=_conflicts(drafts, owners),
        kind=_codes(wide["instance_type"]),
        zone=_codes(wide["zone"]),
        on_demand=(wide["capacity_type"] == "on-demand").to_numpy(dtype=bool),
        floor=settings.floor_per_zone,
        max_types=settings.max_types,
        on_demand_share=settings.on_demand_share if settings.capacity == "blend" else 0.0,
        allocatable=to_whole(
            wide["cpu"].to_numpy(dtype=float), wide["memory"].to_numpy(dtype=float)
        ),
    )
    placed = [row for draft in drafts for row in draft.pods]
    return Layout(
        problem=problem,
        relaxed=_relaxed(problem, drafts) if places.zoned else problem,
        open_fits=np.array([d.relaxed_fits for d in drafts]).reshape(-1, len(wide)).astype(bool),
        offers=wide,
        pods=pods.table.loc[placed].reset_index(drop=True),
        rules=tuple(d.rules for d in drafts),
        owners=tuple(owners[d.owner] for d in drafts),
        pools=inventory.pools,
        zones=places.zones,
        zoned=places.zoned,
        unplaced=tuple(unplaced),
        assumptions=_assumptions(pods, inventory, settings, places.zones),
    )


def _price(wide: pd.DataFrame) -> Floats:
    """Prices in USD/h; a type of unknown price is weighed by its vCPUs, to count nodes with."""
    weight = wide["vcpu"].to_numpy(dtype=float) * _USD_PER_VCPU
    price = wide["usd_per_hour"].to_numpy(dtype=float)
    return np.asarray(np.where(np.isfinite(price), price, weight), dtype=float)


def _codes(names: pd.Series) -> Ints:
    return np.asarray(np.unique(names.astype(str), return_inverse=True)[1], dtype=np.int64)


def _relaxed(problem: Problem, drafts: list[_Draft]) -> Problem:
    """Pods above what every spread must put into a zone may go to any zone."""
    pinned = np.array([min(d.relaxed_pinned, len(d.pods)) for d in drafts], dtype=np.int64)
    free = problem.count - pinned
    loose = np.array([d.relaxed_fits for d in drafts]).reshape(problem.fits.shape).astype(bool)
    twice: list[Ints] = [np.concatenate([a, a + len(drafts)]) for a in problem.avoid]
    return replace(
        problem,
        size=np.vstack([problem.size, problem.size]),
        count=np.concatenate([pinned, free]),
        fits=np.vstack([problem.fits, loose]),
        group=np.concatenate([problem.group, problem.group]),
        avoid=tuple(twice + twice),
    )


def _conflicts(drafts: list[_Draft], owners: dict[tuple[str, str, str], Owner]) -> tuple[Ints, ...]:
    """Classes of other workloads that required anti-affinity keeps off the same node."""
    apart: list[set[int]] = [set() for _ in drafts]
    by_owner: dict[tuple[str, str, str], list[int]] = {}
    for i, draft in enumerate(drafts):
        by_owner.setdefault(draft.owner, []).append(i)
    for key, members in by_owner.items():
        terms = [t for t in drafts[members[0]].rules.apart if t.topology == HOSTNAME]
        for other, others in by_owner.items() if terms else ():
            labels = owners[other].labels
            if other == key or labels is None:
                continue
            if any(
                other[0] in (term.namespaces or (key[0],)) and matches(term.selector, labels)
                for term in terms
            ):
                for i in members:
                    apart[i].update(others)
                for j in others:
                    apart[j].update(members)
    return tuple(np.array(sorted(found), dtype=np.int64) for found in apart)


def _assumptions(
    pods: _Pods, inventory: Inventory, settings: NodeSettings, zones: tuple[str, ...]
) -> tuple[str, ...]:
    table, rules, owners = pods.table, pods.rules, pods.owners
    said = []
    unknown = sum(not rule.known for rule in rules)
    if unknown:
        said.append(
            f"scheduling rules of {unknown} of {len(rules)} pods are not in the snapshot: "
            "no node selector, toleration or anti-affinity is known of them"
        )
    assumed = sum(owner.assumed for owner in owners.values())
    if assumed and settings.spread != "none":
        how = "on at least two nodes" if settings.spread == "host" else "evenly over the zones"
        said.append(f"replicas of {assumed} workloads are spread {how} (--spread)")
    beside = sum(rule.needs_others for rule in rules)
    if beside:
        said.append(f"required pod affinity of {beside} pods is not modelled")
    stuck = [owner for owner in owners.values() if settings.surge and owner.full(len(zones))]
    if stuck:
        said.append(
            f"rollouts of {len(stuck)} workloads add no pod: their required anti-affinity leaves no zone "
            "for one (maxSurge: 0, or the rollout waits for ever)"
        )
    if not inventory.labels_known:
        said.append("node labels are not known: selectors on labels of node groups are left out")
    if not (settings.zones or inventory.zones):
        said.append(f"zones are not known: {len(zones)} assumed")
    unset = int((table["unset"] > 0).sum()) if "unset" in table.columns else 0
    if unset:
        said.append(
            f"{unset} pods have a container without a CPU or memory request, which counts as 0"
        )
    return tuple(said)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _labels(value: object) -> dict[str, str] | None:
    text = _text(value)
    return dict(json.loads(text)) if text else None
