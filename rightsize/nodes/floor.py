"""The fewest nodes that the pods of any hour of the window need: what may be committed to."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rightsize.config import NodeSettings
from rightsize.nodes.demand import alive_at, pod_days, requested_by_hour
from rightsize.nodes.plan import NodeSet
from rightsize.nodes.plans import plan_same_type
from rightsize.results import Advice


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """Nodes of the types in use, packed without headroom, at the quietest hour; kept ones too."""

    hour: pd.Timestamp
    node_set: NodeSet
    optimality_gap: float


def node_floor(
    pods: pd.DataFrame,
    containers: pd.DataFrame,
    catalogue: pd.DataFrame,
    settings: NodeSettings,
    nodes: pd.DataFrame,
    advice: Advice | None = None,
) -> Floor | None:
    """Pack the hours in which pods request least CPU and least memory; the fewer nodes count.

    Parameters
    ----------
    pods, containers : DataFrame
        Tables of the snapshot, with their `day`. Hours without any pod are gaps, not quiet.
    catalogue, settings, nodes
        As for `plan_nodes`.
    advice : Advice, optional
        Recommended requests, instead of those in force.

    Returns
    -------
    Floor or None
        None where no pod was seen, or no node of a known type holds them.
    """
    days = pod_days(pods, containers, advice)
    if days.empty:
        return None
    requested = requested_by_hour(days)
    seen = requested[requested["pods"] > 0]
    hours = pd.DatetimeIndex(seen.index)
    floors = []
    for place in dict.fromkeys(int(seen[name].argmin()) for name in ("cpu", "memory")):
        hour = pd.Timestamp(hours[place])
        quiet = alive_at(days, hour).drop(columns=["day", "first_seen", "last_seen"])
        plan = plan_same_type(
            quiet.reset_index(drop=True), catalogue, settings, nodes, packed_alone=True
        )
        if plan.packed is not None:
            floors.append(Floor(hour, plan.packed.node_set, plan.packed.optimality_gap))
        elif plan.promised is not None:
            # Every pod runs on nodes that are kept.
            floors.append(Floor(hour, plan.promised, 0.0))
    return min(floors, key=lambda one: one.node_set.nodes, default=None)
