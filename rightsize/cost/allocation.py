"""Who causes the bill: each machine's cost split over the requests on it, to the cent.

A machine is worth `cores * c + bytes * m` at the unit prices `c` and `m` that the region's machines
imply; a container's part of the machine's cost is its request's part of that worth. What the
kubelet and the system hold back is `system`, what nobody requested is `idle`. Costs that belong to
no machine (control plane, load balancers) are `shared`. Nothing is spread over anybody else, and
all rows add up to the bill: cents are dealt out by largest remainder.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rightsize.prices.book import PriceBook
from rightsize.prices.unit_price import UnitPrice

KEYS = ("part", "component", "namespace", "workload")
PARTS = ("application", "mesh", "system", "idle", "shared")
SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
_RESERVED = "kubelet and operating system"


@dataclass(frozen=True)
class Allocation:
    """The bill by cause. `rows` has `KEYS`, `cents` (whole) and `usd`; the dearest come first."""

    rows: pd.DataFrame
    total_cents: int
    unpriced: tuple[str, ...]
    """Nodes without a price: neither they nor their pods are in any figure."""

    @property
    def mesh_usd(self) -> float:
        """What the mesh itself costs: sidecars, control plane pods, gateways, node agents."""
        return self._of("mesh")

    @property
    def sidecar_usd(self) -> float:
        """The sidecar tax."""
        sidecars = self.rows["component"] == "sidecar"
        return float(self.rows.loc[sidecars, "cents"].sum()) / 100

    @property
    def idle_usd(self) -> float:
        return self._of("idle")

    def by_namespace(self) -> pd.DataFrame:
        """Return USD by namespace and part; rows without a namespace keep an empty name."""
        named = self.rows.assign(namespace=self.rows["namespace"].fillna(""))
        sums = named.groupby(["namespace", "part"])["cents"].sum().unstack(fill_value=0)
        return sums.reindex(columns=list(PARTS), fill_value=0) / 100

    def _of(self, part: str) -> float:
        return float(self.rows.loc[self.rows["part"] == part, "cents"].sum()) / 100


def allocate(
    requests: pd.DataFrame,
    machines: pd.DataFrame,
    unit: UnitPrice,
    *,
    machines_usd: float | None = None,
    shared: Mapping[str, float] | None = None,
) -> Allocation:
    """Split a month's bill over those who request the machines.

    Parameters
    ----------
    requests : DataFrame
        `node`, `part`, `component`, `namespace`, `workload`, `core_hours`, `byte_hours`; see
        `requested`. Rows on nodes that `machines` lacks are left out.
    machines : DataFrame
        `node`, `usd` (NaN is unknown), and in core-hours and byte-hours what the machine has and
        what pods may request: `core_hours`, `byte_hours`, `allocatable_core_hours`,
        `allocatable_byte_hours`; see `machines_of`.
    unit : UnitPrice
    machines_usd : float, optional
        What the machines really cost together (commitments, the bill): their costs are scaled to
        it. Their own sum without it.
    shared : mapping of name to USD, optional
        Costs that belong to no machine.
    """
    known = machines["usd"].notna()
    priced = machines[known].set_index("node")
    parts = _machine_parts(requests, priced, unit)
    factor = 1.0
    if machines_usd is not None and parts["usd"].sum() > 0:
        factor = machines_usd / parts["usd"].sum()
    lines = [parts.assign(usd=parts["usd"] * factor)]
    if shared:
        names = pd.DataFrame({"workload": list(shared), "usd": list(shared.values())})
        lines.append(names.assign(part="shared", component=None, namespace=None))
    table = pd.concat(lines, ignore_index=True)
    rows = table.groupby(list(KEYS), dropna=False, sort=True)["usd"].sum().reset_index()
    cents = whole_cents(rows["usd"].to_numpy(dtype=float))
    rows = rows.assign(cents=cents, usd=cents / 100)
    rows = rows.sort_values(["cents", *KEYS], ascending=[False] + [True] * 4, kind="stable")
    unpriced = tuple(sorted(machines.loc[~known, "node"].astype(str)))
    return Allocation(rows.reset_index(drop=True), int(cents.sum()), unpriced)


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
    by_day: bool = False,
) -> pd.DataFrame:
    """Return what each workload's containers requested on each node, as `allocate` takes it.

    A container counts for the hours its pod was seen; init containers that end do not count, native
    sidecars do. A request that is not set counts as none.

    Parameters
    ----------
    containers, pods : DataFrame
        Tables of the snapshot, read with their `day`.
    system_namespaces : collection of str
        Namespaces whose pods are `system`.
    by_day : bool
        Keep `day` apart as a first column.
    """
    running = kept_running(containers)
    hours = (pods["last_seen"] - pods["first_seen"]).dt.total_seconds() / 3600 + 1 / 12
    seen = pods.assign(hours=hours.clip(upper=24.0))
    keys = ["day", "namespace", "pod"]
    placed = running.astype({"namespace": object, "pod": object}).merge(
        seen[[*keys, "workload", "node", "hours"]].astype({"namespace": object, "pod": object}),
        on=keys,
    )
    placed = placed.dropna(subset=["node"])
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
            "core_hours": placed["cpu_request"].fillna(0.0) * placed["hours"],
            "byte_hours": placed["memory_request"].fillna(0.0) * placed["hours"],
        }
    )
    keys_kept = ["day", "node", *KEYS] if by_day else ["node", *KEYS]
    sums = rows.groupby(keys_kept, dropna=False)[["core_hours", "byte_hours"]].sum()
    return sums.reset_index()


def kept_running(containers: pd.DataFrame) -> pd.DataFrame:
    """Return the containers that run as long as their pod: all but init containers that end."""
    init, native = (
        containers[name].astype("boolean").fillna(False).to_numpy(dtype=bool)
        for name in ("init", "native")
    )
    return containers.iloc[np.flatnonzero(~init | native)]


def machines_of(nodes: pd.DataFrame, book: PriceBook, *, hours: float) -> pd.DataFrame:
    """Return what each node cost and had, as `allocate` takes it.

    Parameters
    ----------
    nodes : DataFrame
        Table `nodes`, read with its `day`.
    book : PriceBook
    hours : float
        Hours of the month that the seen days are scaled to.
    """
    seen = (nodes["last_seen"] - nodes["first_seen"]).dt.total_seconds() / 3600 + 1 / 12
    alive = seen.clip(upper=24.0)
    scale = hours / (24.0 * max(nodes["day"].nunique(), 1))
    price = [
        book.price(str(name), _text(option) or "on-demand", _text(zone))
        for name, option, zone in zip(
            nodes["instance_type"], nodes["capacity_type"], nodes["zone"], strict=True
        )
    ]
    usd = np.array([np.nan if one is None else one.usd_per_hour for one in price], dtype=float)
    rows = pd.DataFrame(
        {
            "node": nodes["node"].astype(object),
            "usd": usd * alive * scale,
            "core_hours": nodes["capacity_cpu"] * alive,
            "byte_hours": nodes["capacity_memory"] * alive,
            "allocatable_core_hours": nodes["allocatable_cpu"] * alive,
            "allocatable_byte_hours": nodes["allocatable_memory"] * alive,
        }
    )
    sums = rows.groupby("node").sum(min_count=1)
    # One day without a price leaves the node's cost unknown.
    gaps = rows[rows["usd"].isna()]["node"].unique()
    sums.loc[sums.index.isin(gaps), "usd"] = np.nan
    return sums.reset_index()


def _machine_parts(requests: pd.DataFrame, machines: pd.DataFrame, unit: UnitPrice) -> pd.DataFrame:
    """Split each machine's cost: requests, what the system holds back, and idle."""

    def worth(cores: pd.Series, memory: pd.Series) -> pd.Series:
        return cores * unit.usd_per_core_hour + memory * unit.usd_per_byte_hour

    whole = worth(machines["core_hours"], machines["byte_hours"])
    usable = worth(machines["allocatable_core_hours"], machines["allocatable_byte_hours"])
    here = requests[requests["node"].isin(machines.index)]
    claims = here.assign(worth=worth(here["core_hours"], here["byte_hours"]))
    claimed = claims.groupby("node")["worth"].sum().reindex(machines.index, fill_value=0.0)
    reserved = (whole - usable).clip(lower=0.0)
    idle = (usable - claimed).clip(lower=0.0)
    total = claimed + reserved + idle
    rate = (machines["usd"] / total).where(total > 0, 0.0)
    rows = [
        claims[list(KEYS)].assign(usd=claims["worth"] * rate.reindex(claims["node"]).to_numpy()),
        _one_line("system", _RESERVED, (reserved * rate).sum()),
        _one_line("idle", "not requested", (idle * rate).sum()),
        # A machine whose size is unknown cannot be split.
        _one_line("idle", "size unknown", machines["usd"].where(~(total > 0), 0.0).sum()),
    ]
    whole_table = pd.concat([part.astype({"usd": float}) for part in rows], ignore_index=True)
    return whole_table[whole_table["usd"] > 0]


def _one_line(part: str, workload: str, usd: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "part": [part],
            "component": [None],
            "namespace": [None],
            "workload": [workload],
            "usd": [float(usd)],
        }
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
