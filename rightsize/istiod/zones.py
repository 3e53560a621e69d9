"""Where istiod's pods run: the loss of a zone or a node must take no more of them than sizes survive."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pandas as pd

from rightsize.istiod.model import IstiodModel
from rightsize.istiod.observations import IstiodTables
from rightsize.istiod.pilot_settings import minor_release
from rightsize.istiod.replicas import ReplicaPlan, needs_of_those_left
from rightsize.nodes.rules import HOSTNAME, ZONE
from rightsize.quantity import format_memory

READ_FROM = (1, 19)
"""Release of the istiod chart that first has `topologySpreadConstraints`."""


@dataclass(frozen=True, slots=True)
class ZoneSpread:
    """istiod's pods over the cluster's zones: as seen on the last day, and as written."""

    zones: int
    """Of the nodes of the last day, Fargate aside."""
    pods_in_fullest: int
    """Pods of today in the zone that holds most of them."""
    pods: int
    """Pods of today of which the zone is known."""
    written: tuple[str, ...]
    """Topology keys of the constraints to write; none where the release or its zones do not ask."""
    lost_with_a_zone: int
    """Pods that the loss of one zone takes away once they are spread."""
    reason: str


def zone_spread(
    tables: IstiodTables,
    best: ReplicaPlan,
    model: IstiodModel | None,
    istio_version: str | None,
) -> ZoneSpread | None:
    """Judge where istiod's pods run; None where the zones of the nodes are not known.

    Constraints only prefer (`ScheduleAnyway`): one that forbids would keep istiod from starting
    again in the zones that are left.
    """
    zones = _zones(tables.nodes)
    if not zones:
        return None
    pods = _pods(tables)
    placed = pods["node"].map(zones).dropna()
    count = len(set(zones.values()))
    lost = math.ceil(best.replicas / count)
    release = minor_release(istio_version)
    over = _constrained(pods)
    keys = tuple(key for key in (ZONE, HOSTNAME) if key not in over and (key != ZONE or count > 1))
    if release is not None and release < READ_FROM:
        keys = ()
    fullest = int(placed.value_counts().max()) if len(placed) else 0
    texts = [_today(fullest, len(placed), count)]
    if count > 1:
        texts.append(_loss(best, model, lost, count))
    if release is not None and release < READ_FROM:
        texts.append("the chart spreads pods from 1.19 on")
    elif not keys:
        texts.append("its pods are spread already")
    return ZoneSpread(count, fullest, len(placed), keys, lost, "; ".join(texts))


def _zones(nodes: pd.DataFrame) -> dict[str, str]:
    """Node to zone, on the last day."""
    if nodes.empty:
        return {}
    kinds = nodes["kind"].astype(object) if "kind" in nodes else pd.Series("", index=nodes.index)
    newest = nodes[(nodes["day"] == nodes["day"].max()) & (kinds != "fargate")]
    known = newest.dropna(subset=["zone"])
    return dict(zip(known["node"].astype(str), known["zone"].astype(str), strict=True))


def _pods(tables: IstiodTables) -> pd.DataFrame:
    """istiod's own pods that were alive at the end of the last day."""
    ours = set(tables.containers.loc[tables.containers["component"] == "istiod", "pod"].astype(str))
    rows = tables.pods[tables.pods["pod"].astype(str).isin(ours)]
    if rows.empty:
        return rows.assign(node=pd.Series(dtype=object))
    rows = rows[rows["day"] == rows["day"].max()]
    alive = rows["last_seen"] >= rows["last_seen"].max() - pd.Timedelta(10, "min")
    found: pd.DataFrame = rows[alive].astype({"node": object})
    return found


def _constrained(pods: pd.DataFrame) -> set[str]:
    """Topology keys over which the running pods are spread, by whatever constraint."""
    found: set[str] = set()
    for text in pods["scheduling"].dropna().astype(str) if "scheduling" in pods else ():
        constraints = json.loads(text).get("topologySpreadConstraints") or ()
        found |= {str(one.get("topologyKey")) for one in constraints}
    return found


def _today(fullest: int, pods: int, zones: int) -> str:
    where = "1 zone" if zones == 1 else f"{zones} zones"
    if not pods:
        return f"nodes in {where}"
    if zones == 1:
        return f"all nodes are in {where}: its loss takes the whole mesh"
    return f"{fullest} of {pods} pods run in one of {where} today"


def _loss(best: ReplicaPlan, model: IstiodModel | None, lost: int, zones: int) -> str:
    left = best.replicas - lost
    takes = f"spread, the loss of a zone takes {lost} of {best.replicas} pods"
    if lost == 1:
        return f"{takes}, which the sizes survive"
    if model is None:
        return f"{takes}, and the sizes survive one"
    needed = needs_of_those_left(model, model.load, left).high
    if needed <= best.memory.high:
        return f"{takes}, which the memory of the {left} left survives"
    return (
        f"{takes}: the {left} left then need up to {format_memory(needed)} each, over the request of "
        f"{format_memory(best.memory.high)}; {zones} pods, one in each zone, would lose one"
    )
