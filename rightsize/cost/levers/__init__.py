"""What the bill could lose beside the sidecars: Graviton, a commitment, Spot, support, Fargate's steps.

Each is worked out for the nodes that remain with the recommended requests, since what is bought for
those of today is partly wasted afterwards. They act on the same machines, so they do not add up.
"""

from __future__ import annotations

from rightsize.config import NodeSettings, PriceSettings
from rightsize.cost.levers.charged import extended_support, fargate
from rightsize.cost.levers.commitment import safe_commitment
from rightsize.cost.levers.graviton import graviton
from rightsize.cost.levers.lever import Lever
from rightsize.cost.levers.spot import spot
from rightsize.cost.plan import PlanCost, Terms
from rightsize.nodes.answer import NodeAnswer
from rightsize.snapshot import Snapshot


def find_levers(
    snapshot: Snapshot,
    nodes: NodeAnswer | None,
    after: PlanCost | None,
    terms: Terms,
    settings: NodeSettings,
    prices: PriceSettings,
) -> tuple[Lever, ...]:
    """Return the levers that apply, with the requests that `nodes` ends with.

    Parameters
    ----------
    nodes : NodeAnswer or None
        With `graviton`, for that lever.
    after : PlanCost or None
        Of the plan `same-type` with those requests.
    terms : Terms
        With the hours of the month that `usd` is for.
    """
    found = [extended_support(terms), fargate(snapshot, nodes, terms)]
    if nodes is None or after is None or after.ec2 is None:
        return tuple(one for one in found if one is not None)
    if nodes.graviton is not None:
        found.append(graviton(nodes.graviton, nodes, after, terms))
    found += [
        safe_commitment(snapshot, nodes, terms, settings, prices),
        spot(snapshot, nodes, after, terms, settings, prices),
    ]
    return tuple(one for one in found if one is not None)
