"""What AWS charges beside the machines: extended support, and Fargate by whole steps of size."""

from __future__ import annotations

from rightsize.cost.charges import FARGATE, fargate_steps, node_charges
from rightsize.cost.levers.lever import Lever
from rightsize.cost.machines import billed_nodes, covered_hours
from rightsize.cost.plan import Terms, extended_surcharge
from rightsize.nodes.answer import NodeAnswer
from rightsize.prices.node_kinds import kinds_of
from rightsize.results import Interval
from rightsize.snapshot import Snapshot


def extended_support(terms: Terms) -> Lever | None:
    if terms.eks_support != "extended":
        return None
    condition = "upgrade Kubernetes to a version in standard support"
    return Lever("extended-support", extended_surcharge(terms), condition, {}, realisable=True)


def fargate(snapshot: Snapshot, nodes: NodeAnswer | None, terms: Terms) -> Lever | None:
    """What smaller requests save where AWS charges pods by whole steps of size."""
    machines = billed_nodes(snapshot)
    if nodes is None or nodes.advice is None or not kinds_of(machines).eq("fargate").any():
        return None
    tables = {name: snapshot.read(name) for name in ("pods", "containers")} | {"nodes": machines}
    covered = covered_hours(snapshot, machines)
    now, then = (
        next(line for line in node_charges(tables, terms, covered, advice) if line.name == FARGATE)
        for advice in (None, nodes.advice)
    )
    steps = fargate_steps(tables, nodes.advice)
    held = terms.commitments
    condition = (
        f"the smaller requests take {sum(steps.values())} pods to a smaller size of Fargate; "
        "a cut within a size saves nothing"
    )
    if now.usd is None or then.usd is None:
        return Lever("fargate", None, now.note, {}, namespaces=steps)
    return Lever(
        "fargate",
        Interval.exactly(now.usd.mid - then.usd.mid),
        condition,
        {"usd_now": now.usd.mid, "usd_recommended": then.usd.mid},
        realisable=held.known and not held.held,
        namespaces=steps,
    )
