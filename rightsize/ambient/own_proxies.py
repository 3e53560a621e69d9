"""What this mesh's own proxies use by request: sidecars, and ztunnels and waypoints where some run."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rightsize.ambient.figures import Figure, Part, measured, published
from rightsize.ambient.rates import Rates, by_node
from rightsize.errors import NoDataError
from rightsize.namespaces.proxy_cpu import ProxyCpuLaw, fit_proxy_cpu
from rightsize.namespaces.traffic import namespace_labels
from rightsize.results import Interval
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import containers_by_day, plain_text, usage_by_workload

_DAYS = 7
MODE_LABEL = "istio.io/dataplane-mode"


def proxy_usage(snapshot: Snapshot) -> pd.DataFrame:
    """Usage of the mesh's proxies over the last week, with their workload, component and node."""
    days = snapshot.days[-_DAYS:]
    usage = usage_by_workload(snapshot, days, ["cpu", "memory"])
    owners = containers_by_day(snapshot, days, mesh_only=True)
    nodes = owners.drop_duplicates(["namespace", "pod"], keep="last")[["namespace", "pod", "node"]]
    return usage.merge(nodes, on=["namespace", "pod"], how="left")


def sidecar_law(usage: pd.DataFrame, rates: Rates) -> ProxyCpuLaw | None:
    """CPU of the sidecars by pods and requests; None where the history is too short.

    Parameters
    ----------
    usage : DataFrame
        As `proxy_usage` gives.
    rates : Rates
        A request counts at its caller's sidecar and at the called one's.
    """
    ours = usage[usage["component"].eq("sidecar") & usage["cpu"].notna()]
    if ours.empty or rates.through.empty:
        return None
    hour = ours["time"].dt.ceil("h")
    groups = ours.groupby([hour, "namespace", "workload"])
    rows = pd.DataFrame({"cpu": groups["cpu"].sum() / 12, "pods": groups["pod"].nunique()})
    through = pd.Series(rates.through.stack([0, 1], future_stack=True), name="requests")
    through.index = through.index.set_names(rows.index.names)
    both = rows.join(through, how="inner").dropna().reset_index()
    try:
        name = both["namespace"] + "/" + both["workload"]
        return fit_proxy_cpu(both["pods"], both["requests"], both["cpu"], name)
    except NoDataError:
        return None


def figures(
    snapshot: Snapshot, usage: pd.DataFrame, rates: Rates, law: ProxyCpuLaw | None
) -> Mapping[Part, Figure]:
    """Published figures, replaced by this mesh's own where its proxies show them.

    Where no waypoint runs, its high end is at least what a request costs the sidecars here: an
    Envoy with this mesh's filters, on each side of a call.
    """
    found = dict(published())
    for part in ("ztunnel", "waypoint"):
        own = _own(part, snapshot, usage, rates)
        if own is not None:
            found[own.part] = own
    if law is not None and law.measured:
        sidecar, way = found["sidecar"], found["waypoint"]
        own_memory = usage.loc[usage["component"].eq("sidecar"), "memory"].dropna()
        sizes = [float(v) for v in own_memory.quantile([0.05, 0.5, 0.95])]
        memory = Interval(*sizes) if sizes else sidecar.memory
        found["sidecar"] = Figure("sidecar", law.per_request, memory, True, (law.text,))
        if not way.measured:
            cpu = Interval(way.cpu.low, way.cpu.mid, max(way.cpu.high, law.per_request.high))
            text = f"high end at least this mesh's own sidecars: {law.text}"
            found["waypoint"] = Figure("waypoint", cpu, way.memory, False, (*way.sources, text))
    return found


def _own(part: Part, snapshot: Snapshot, usage: pd.DataFrame, rates: Rates) -> Figure | None:
    ours = usage[usage["component"].eq(part)]
    if ours.empty:
        return None
    if part == "waypoint":
        by = ours.groupby("namespace")
        pods = by["pod"].nunique()
        rate = pd.Series({name: rates.busy_into(str(name)) for name in pods.index})
        cpu = by["cpu"].quantile(0.99) * pods
        return measured(part, cpu, rate, by["memory"].quantile(0.95))
    last = plain_text(snapshot.read("pods", days=snapshot.days[-1:]))
    labels = namespace_labels(snapshot.read("namespaces", days=snapshot.days[-1:]))
    ambient = [name for name, own in labels.items() if own.get(MODE_LABEL) == "ambient"]
    inside = last[last["namespace"].isin(ambient) & last["node"].notna()]
    inside = inside.assign(workload=inside["workload"].fillna(inside["pod"]))
    rate = by_node(rates.through, inside)
    by = ours.groupby("node")
    table = pd.DataFrame(
        {"cpu": by["cpu"].quantile(0.99), "memory": by["memory"].quantile(0.95), "rate": rate}
    ).fillna({"rate": 0.0})
    return measured(part, table["cpu"], table["rate"], table["memory"])
