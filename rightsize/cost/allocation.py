"""Who causes the bill: each machine's cost on each day, split over the requests on it, to the cent.

A machine is worth `cores * c + bytes * m` at the unit prices `c` and `m` that the region's machines
imply; a container's part of the machine's cost is its request's part of that worth. What a machine
with GPUs costs beyond its cores and memory is `gpu`. What the kubelet and the system hold back is
`system`, what nobody requested is `idle`. Costs that belong to no machine (control plane, load
balancers) are `shared`, commitments that cover nothing `unused`. Nothing is spread over anybody
else, and all rows add up to the bill: cents are dealt out by largest remainder.

Unknown is a value: whoever requests a machine without a price has no known cost, and neither have
the sums that it belongs to. `known_usd` is what is known of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rightsize.nodes.room import holding_room, hours_seen
from rightsize.prices.unit_price import UnitPrice

KEYS = ("part", "component", "namespace", "workload")
PARTS = ("application", "mesh", "gpu", "system", "idle", "shared", "unused")
SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
_RESERVED = "kubelet and operating system"
_IDLE = "not requested"
_UNSPLIT = "who causes it is unknown"
_SPLIT = ["day", "node", *KEYS]
_HOURS = ["core_hours", "byte_hours", "container_hours"]


@dataclass(frozen=True)
class Allocation:
    """The bill by cause.

    `rows` has `KEYS`, `usd` (NaN where a part of it is unknown), `known_usd`, and `cents` (whole,
    of what is known); the dearest come first. `days` has the same by `day` and `node`, in USD that
    are not rounded, with `core_hours` and `byte_hours` requested and the `container_hours` of those who do.
    """

    rows: pd.DataFrame
    days: pd.DataFrame
    unpriced: tuple[str, ...]
    """Nodes without a price: what is requested on them has no known cost."""
    blind: bool = False
    """No container was seen: the bill is known, and nothing of who causes it."""

    @property
    def total_cents(self) -> int:
        """Cents of what is known: the whole bill where `complete`."""
        return int(self.rows["cents"].sum())

    @property
    def complete(self) -> bool:
        """Whether every machine has a price, so that every figure is known."""
        return not self.unpriced

    @property
    def dark(self) -> bool:
        """Whether a cause without a row may have one: what is not listed is unknown, and not zero."""
        return self.blind or not self.complete

    @property
    def total_usd(self) -> float | None:
        return self.total_cents / 100 if self.complete else None

    @property
    def mesh_usd(self) -> float | None:
        """What the mesh itself costs: sidecars, control plane pods, gateways, node agents."""
        return self.of("mesh")

    @property
    def sidecar_usd(self) -> float | None:
        """The sidecar tax; None if some of it is unknown, or no machine is known that could hold one."""
        rows = self.rows[self.rows["component"] == "sidecar"]
        return None if rows.empty and self.mesh_usd is None else known_sum(rows)

    @property
    def idle_usd(self) -> float | None:
        return self.of("idle")

    def of(self, part: str) -> float | None:
        """USD of one part; None if some of it is unknown."""
        rows = self.rows[self.rows["part"] == part]
        if rows.empty and self.dark and part not in ("shared", "unused"):
            return None
        return known_sum(rows)

    def by_part(self) -> pd.DataFrame:
        """Return `part`, `usd` (NaN is unknown) and `known_usd` of the parts that cost anything."""
        sums = summed(self.rows, ["part"])
        order = {part: place for place, part in enumerate(PARTS)}
        return sums.sort_values("part", key=lambda names: names.map(order)).reset_index(drop=True)

    def by_namespace(self) -> pd.DataFrame:
        """Return USD by namespace and part, NaN where unknown; no namespace is an empty name."""
        named = self.rows.assign(namespace=self.rows["namespace"].fillna(""))
        sums = summed(named, ["namespace", "part"])
        table = sums.pivot(index="namespace", columns="part", values="usd")
        known = sums.pivot(index="namespace", columns="part", values="known_usd")
        return table.mask(known.isna(), 0.0).reindex(columns=list(PARTS), fill_value=0.0)


def known_sum(rows: pd.DataFrame) -> float | None:
    """Sum of `usd` to the cent; None if one of them is unknown."""
    if rows["usd"].isna().any():
        return None
    return float(rows["cents"].sum()) / 100


def summed(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Sum `usd` and `known_usd` by keys; a sum with an unknown part is unknown."""
    marked = rows.assign(unknown=rows["usd"].isna())
    sums = marked.groupby(list(keys), dropna=False, observed=True)
    found = sums.agg(known_usd=("known_usd", "sum"), unknown=("unknown", "any")).reset_index()
    found["known_usd"] = found["known_usd"].round(2)
    found["usd"] = found["known_usd"].mask(found["unknown"])
    return found.drop(columns="unknown")


def allocate(
    requests: pd.DataFrame,
    machines: pd.DataFrame,
    unit: UnitPrice,
    *,
    machines_usd: float | None = None,
    shared: Mapping[str, float] | None = None,
    unused: float = 0.0,
    blind: bool = False,
) -> Allocation:
    """Split a bill over those who request the machines.

    Parameters
    ----------
    requests : DataFrame
        `node`, `part`, `component`, `namespace`, `workload`, `core_hours`, `byte_hours`, and `day`
        where machines have it; see `requested`. What is requested on a node that `machines` never
        names has no known cost; on a day on which it lacks the node, it is left out.
    machines : DataFrame
        `node` (and `day`), `usd` (NaN is unknown), and in core-hours and byte-hours what the
        machine has and what pods may request: `core_hours`, `byte_hours`,
        `allocatable_core_hours`, `allocatable_byte_hours`, maybe `gpus`; see `machines_of`.
    machines_usd : float, optional
        What the machines really cost together (commitments, the bill): their costs are scaled to
        it. Their own sum without it.
    shared : mapping of name to USD, optional
        Costs that belong to no machine.
    unused : float
        USD of commitments that cover nothing.
    blind : bool
        Nothing is known of what runs on the machines: their cost has no known cause.
    """
    if "day" not in machines.columns:
        machines, requests = (frame.assign(day="") for frame in (machines, requests))
    unseen = requests[~requests["node"].isin(machines["node"])]
    unpriced = {*machines.loc[machines["usd"].isna(), "node"], *unseen["node"]}
    if machines.empty:
        unpriced.add("every machine")
    days = _split(requests, machines, unit, blind=blind).astype(dict.fromkeys(KEYS, object))
    total = float(days["known_usd"].sum())
    if machines_usd is not None and total > 0:
        for name in ("usd", "known_usd"):
            days[name] *= machines_usd / total
    others = {("shared", name): usd for name, usd in (shared or {}).items()}
    if unused:
        others["unused", "commitments that cover nothing"] = unused
    apart = pd.DataFrame(
        {
            "part": [part for part, _ in others],
            "workload": [name for _, name in others],
            "usd": [float(usd) for usd in others.values()],
        }
    ).assign(component=None, namespace=None, known_usd=lambda t: t["usd"])
    columns = [*KEYS, "usd", "known_usd"]
    rest = _of_nobody(bool(unpriced))
    dark = pd.concat([unseen[list(KEYS)], rest]) if len(unseen) else rest
    dark = dark.assign(usd=np.nan, known_usd=0.0)
    parts = [part[columns] for part in (days, apart, dark) if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else days[columns]
    groups = table.assign(unknown=table["usd"].isna()).groupby(list(KEYS), dropna=False, sort=True)
    rows = groups.agg(known_usd=("known_usd", "sum"), unknown=("unknown", "any")).reset_index()
    # Names of nobody at all are no numbers.
    rows = rows.astype(dict.fromkeys(KEYS, object))
    cents = whole_cents(rows["known_usd"].to_numpy(dtype=float))
    rows = rows.assign(cents=cents, known_usd=cents / 100)
    rows["usd"] = rows["known_usd"].mask(rows.pop("unknown"))
    rows = rows.sort_values(["cents", *KEYS], ascending=[False] + [True] * 4, kind="stable")
    names = tuple(sorted(map(str, unpriced)))
    return Allocation(rows.reset_index(drop=True), days, names, blind)


def whole_cents(usd: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round amounts to cents so that they add up to the rounded total (largest remainder)."""
    exact = usd * 100
    cents = np.floor(exact).astype(np.int64)
    left = round(float(exact.sum())) - int(cents.sum())
    order = np.argsort(-(exact - cents), kind="stable")
    cents[order[: max(left, 0)]] += 1
    return cents


def requested(
    containers: pd.DataFrame,
    pods: pd.DataFrame,
    *,
    system_namespaces: Collection[str] = SYSTEM_NAMESPACES,
    usage: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return what each workload's containers requested on each node and day, for `allocate`.

    A container counts for the hours in which its pod held room (`rightsize.nodes.room`); init containers that end do not count, native
    sidecars do. A request that is not set counts as none.

    Parameters
    ----------
    containers, pods : DataFrame
        Tables of the snapshot, read with their `day`.
    system_namespaces : collection of str
        Namespaces of `system` pods.
    usage : DataFrame, optional
        Mean use by `day`, `namespace`, `pod`, `container`: `cpu` (cores), `memory` (bytes). With it
        a container counts the larger of request and use, as OpenCost's specification has it; one
        of which the use is not known counts its request.
    """
    running = kept_running(containers)
    held = holding_room(pods)
    seen = held.assign(hours=hours_seen(held))
    keys = ["day", "namespace", "pod"]
    placed = running.astype({"namespace": object, "pod": object}).merge(
        seen[[*keys, "workload", "node", "hours"]].astype({"namespace": object, "pod": object}),
        on=keys,
    )
    placed = placed.dropna(subset=["node"])
    cores, memory = (placed[f"{name}_request"].fillna(0.0) for name in ("cpu", "memory"))
    if usage is not None:
        cores, memory = _larger(placed, usage, cores, memory)
    mesh = placed["component"].notna()
    system = placed["namespace"].isin(system_namespaces)
    rows = pd.DataFrame(
        {
            "day": placed["day"],
            "node": placed["node"].astype(object),
            "part": np.where(mesh, "mesh", np.where(system, "system", "application")),
            "component": placed["component"].astype(object),
            "namespace": placed["namespace"],
            "workload": placed["workload"].astype(object),
            "core_hours": cores * placed["hours"],
            "byte_hours": memory * placed["hours"],
            "container_hours": placed["hours"],
        }
    )
    sums = rows.groupby(_SPLIT, dropna=False)[[*_HOURS]].sum()
    return sums.reset_index()


def _larger(
    placed: pd.DataFrame, usage: pd.DataFrame, cores: pd.Series, memory: pd.Series
) -> tuple[pd.Series, pd.Series]:
    """The larger of request and mean use of each row of `placed`."""
    keys = ["day", "namespace", "pod", "container"]
    texts = dict.fromkeys(keys[1:], object)
    used = placed[keys].astype(texts).merge(usage.astype(texts), on=keys, how="left")
    found = []
    for request, name in ((cores, "cpu"), (memory, "memory")):
        use = pd.Series(used[name].to_numpy(dtype=float), index=request.index)
        found.append(request.where(use.isna() | (use < request), use))
    return found[0], found[1]


def kept_running(containers: pd.DataFrame) -> pd.DataFrame:
    """Return the containers that run as long as their pod: all but init containers that end."""
    init, native = (
        containers[name].astype("boolean").fillna(False).to_numpy(dtype=bool)
        for name in ("init", "native")
    )
    return containers.iloc[np.flatnonzero(~init | native)]


def machines_of(machines: pd.DataFrame, *, scale: float = 1.0) -> pd.DataFrame:
    """Return what each machine cost and had on each day, as `allocate` takes it.

    Parameters
    ----------
    machines : DataFrame
        As `rightsize.cost.machines.machine_days` gives it.
    scale : float
        Turns the hours that were seen into those of the bill.
    """
    hours = machines["hours"]
    return pd.DataFrame(
        {
            "day": machines["day"],
            "node": machines["node"],
            "usd": machines["usd_per_hour"] * hours * scale,
            "core_hours": machines["capacity_cpu"] * hours,
            "byte_hours": machines["capacity_memory"] * hours,
            "allocatable_core_hours": machines["allocatable_cpu"] * hours,
            "allocatable_byte_hours": machines["allocatable_memory"] * hours,
            "gpus": machines["gpus"],
        }
    )


def _split(
    requests: pd.DataFrame, machines: pd.DataFrame, unit: UnitPrice, *, blind: bool = False
) -> pd.DataFrame:
    """Each machine's cost by day: requests, GPUs, what the system holds back, and idle.

    A machine of unknown size, and every one where `blind`, cannot be split: its cost is known, and
    nobody's part of it.
    """

    def worth(cores: pd.Series, memory: pd.Series) -> pd.Series:
        return cores * unit.usd_per_core_hour + memory * unit.usd_per_byte_hour

    keys = ["day", "node"]
    here = machines.assign(
        whole=worth(machines["core_hours"], machines["byte_hours"]),
        usable=worth(machines["allocatable_core_hours"], machines["allocatable_byte_hours"]),
    )
    claims = requests.assign(worth=worth(requests["core_hours"], requests["byte_hours"]))
    claimed = claims.groupby(keys, dropna=False)["worth"].sum().rename("claimed").reset_index()
    here = here.merge(claimed, on=keys, how="left").fillna({"claimed": 0.0})
    usd = here["usd"]
    gpus = here["gpus"].gt(0) if "gpus" in here.columns else pd.Series(False, index=here.index)
    gpu = (usd - here["whole"]).clip(lower=0.0).where(gpus & here["whole"].notna(), 0.0)
    reserved = (here["whole"] - here["usable"]).clip(lower=0.0)
    idle = (here["usable"] - here["claimed"]).clip(lower=0.0)
    total = here["claimed"] + reserved + idle
    known = (total > 0) & (not blind)
    rate = ((usd - gpu) / total).where(known)
    split = claims.merge(here[keys].assign(rate=rate), on=keys)
    lines = [
        split.assign(usd=split["worth"] * split["rate"]).reindex(columns=[*_SPLIT, "usd", *_HOURS]),
        _lines(here, "system", _RESERVED, reserved * rate, (reserved > 0) & known),
        _lines(here, "gpu", "machines with GPUs", gpu, gpus & known),
        _lines(here, "idle", _IDLE, idle * rate, (idle > 0) & known),
        _lines(here, "idle", _UNSPLIT, usd, ~known),
    ]
    table = pd.concat([part for part in lines if len(part)] or lines[:1], ignore_index=True)
    table = table[~(table["usd"] <= 0)].reset_index(drop=True)
    table["known_usd"] = table["usd"].fillna(0.0)
    table["usd"] = table["usd"].mask(table["workload"].eq(_UNSPLIT) & table["part"].eq("idle"))
    return table


def _of_nobody(unknown: bool) -> pd.DataFrame:
    """What nobody requests of machines without a price: `KEYS` of two rows, or of none."""
    rows = [("system", None, None, _RESERVED), ("idle", None, None, _IDLE)]
    return pd.DataFrame(rows if unknown else [], columns=list(KEYS))


def _lines(
    machines: pd.DataFrame, part: str, name: str, usd: pd.Series, here: pd.Series
) -> pd.DataFrame:
    """A row for each machine on which this part is there."""
    rows = machines.loc[here.astype(bool), ["day", "node"]].assign(
        part=part, component=None, namespace=None, workload=name
    )
    money = usd[here.astype(bool)].astype(float)
    return rows.assign(usd=money, **dict.fromkeys(_HOURS, np.nan))
