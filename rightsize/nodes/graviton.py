"""Graviton beside x86: the cheapest mix of arm64 machines, and which pods are known to run there.

Requests are taken to be the same on both: what a pod uses on arm64 is not known before it runs there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.errors import UsageError
from rightsize.nodes.kept import split
from rightsize.nodes.layout import Unplaced
from rightsize.nodes.plan import NodePlan
from rightsize.nodes.plans import plan_nodes
from rightsize.nodes.rules import Expression, parse_rules

_ARCH = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
_OWNER = ["namespace", "workload_kind", "workload"]
_ADD_ONS = frozenset({"aws-node", "coredns", "ebs-csi-controller", "ebs-csi-node", "kube-proxy"})
"""In kube-system, with images for both architectures (EKS user guide, "Arm" AMIs and add-ons)."""

_WORK = 0.4
"""Share of a plan's work for this one."""

Readiness = Literal["known", "unknown", "bound"]
"""Whether a pod's images run on arm64: `known` where a pod of its workload ran on such a node or its
rules name arm64; `bound` where its rules ask for another architecture alone."""


@dataclass(frozen=True, slots=True)
class NamespacePods:
    """Pods of a namespace by readiness, those of DaemonSets left out."""

    namespace: str
    known: int
    unknown: int
    bound: int


@dataclass(frozen=True, slots=True, eq=False)
class Graviton:
    """The cheapest mix of arm64, and the cheapest of x86 alone."""

    x86: NodePlan
    arm: NodePlan
    unplaced: int
    """Pods that the machines of one of both cannot hold: then the plans compare different pods."""
    namespaces: tuple[NamespacePods, ...]
    daemonsets: tuple[str, ...]
    """DaemonSets that are not known to run on arm64; every node runs them."""

    def pods(self, readiness: Readiness) -> int:
        """Pods of one readiness."""
        return sum(getattr(one, readiness) for one in self.namespaces)

    @property
    def condition(self) -> str:
        """What must hold of the images, and what is known of it."""
        known, unknown, bound = self.pods("known"), self.pods("unknown"), self.pods("bound")
        agents = f" and {len(self.daemonsets)} DaemonSets" if self.daemonsets else ""
        said = f"known of {known} pods, unknown of {unknown} pods{agents}"
        stays = f"; {bound} are bound to x86 and stay there" if bound else ""
        return f"every image needs an arm64 build: {said}{stays}"


def graviton_beside(
    mix: NodePlan,
    pods: pd.DataFrame,
    catalogue: pd.DataFrame,
    settings: NodeSettings,
    nodes: pd.DataFrame,
    runs_on_arm: frozenset[tuple[str, str, str]] = frozenset(),
) -> Graviton | None:
    """Plan the same pods on arm64; None where no x86 is in use, no pod could move, or `settings` choose architectures.

    Pods that are bound to x86 keep machines of x86 beside. Families that the settings name are those
    of x86, so the families of arm64 are the current m, c and r.

    Parameters
    ----------
    mix : NodePlan
        The plan of these pods on the architectures in use.
    pods, catalogue, settings, nodes
        As for `plan_nodes`.
    runs_on_arm : frozenset
        Namespace, kind and name of each workload of which a pod ran on an arm64 node.
    """
    in_use = set(nodes["arch"].dropna().astype(str))
    if settings.arch or in_use == {"arm64"}:
        return None
    moving = split(pods, nodes, catalogue).pods
    ready = readiness_of(moving, runs_on_arm)
    own = moving["daemonset"].to_numpy(dtype=bool)
    if own.all():
        return None
    if "arm64" in in_use:
        # The mix has it already.
        arm, (x86, unplaced) = mix, _mix_of(pods, catalogue, settings, nodes, ("amd64",))
    else:
        arches = ("amd64", "arm64") if (ready == "bound").any() else ("arm64",)
        x86, (arm, unplaced) = mix, _mix_of(pods, catalogue, settings, nodes, arches)
    agents = moving.loc[own & (ready != "known"), ["namespace", "workload"]].astype(str)
    return Graviton(
        x86,
        arm,
        len(unplaced),
        _by_namespace(moving[~own], ready[~own]),
        tuple(sorted(set(agents["namespace"] + "/" + agents["workload"]))),
    )


def _mix_of(
    pods: pd.DataFrame,
    catalogue: pd.DataFrame,
    settings: NodeSettings,
    nodes: pd.DataFrame,
    arches: tuple[str, ...],
) -> tuple[NodePlan, tuple[Unplaced, ...]]:
    # A line for comparison: nobody buys from it before planning with --arch.
    work = {"time_limit": settings.time_limit * _WORK}
    chosen = settings.model_copy(update={"arch": arches, "families": (), **work})
    try:
        plans = plan_nodes(pods, catalogue, chosen, nodes, names=("mix",))
    except UsageError as error:
        return NodePlan("mix", None, None, "nothing", None, (), str(error)), ()
    return plans.named("mix"), plans.unplaced


def readiness_of(
    pods: pd.DataFrame, runs_on_arm: frozenset[tuple[str, str, str]]
) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """(P,) `Readiness` of each row of `scheduled_pods`."""
    owners = zip(*(pods[column].astype(str) for column in _OWNER), strict=True)
    rules = [_of_rules(text) for text in pods["scheduling"].astype(object)]
    found = [
        "known" if owner in runs_on_arm or _is_add_on(owner) else rule
        for owner, rule in zip(owners, rules, strict=True)
    ]
    return np.array(found, dtype=object)


def _is_add_on(owner: tuple[str, ...]) -> bool:
    return owner[0] == "kube-system" and owner[2] in _ADD_ONS


def workloads_on_arm(pods: pd.DataFrame, nodes: pd.DataFrame) -> frozenset[tuple[str, str, str]]:
    """Workloads of which a pod was seen on an arm64 node, as `graviton_beside` takes them."""
    there = set(nodes.loc[nodes["arch"].astype(str) == "arm64", "node"].astype(str))
    ran = pods.loc[pods["node"].astype(str).isin(there), _OWNER].astype(str).drop_duplicates()
    return frozenset(ran.itertuples(index=False, name=None))


def _of_rules(text: object) -> Readiness:
    rules = parse_rules(text if isinstance(text, str) else None)
    labels = dict.fromkeys(_ARCH, "arm64")
    asked = [
        [one for one in term if one.key in _ARCH and one.operator in ("In", "NotIn")]
        for term in rules.terms
    ]
    admitting = [term for term in asked if all(one.matches(labels) for one in term)]
    if not admitting:
        return "bound"
    return "known" if any(_names_arm(one) for term in admitting for one in term) else "unknown"


def _names_arm(asked: Expression) -> bool:
    """Whether a rule that admits arm64 was written with it in mind."""
    return asked.operator == "In" or "amd64" in asked.values


def _by_namespace(
    pods: pd.DataFrame, ready: np.ndarray[tuple[int], np.dtype[np.object_]]
) -> tuple[NamespacePods, ...]:
    """Those with the most pods that are known or unknown first."""
    table = pd.crosstab(pods["namespace"].astype(str), pd.Series(ready, index=pods.index))
    table = table.reindex(columns=["known", "unknown", "bound"], fill_value=0)
    found = [NamespacePods(str(name), *map(int, row)) for name, *row in table.itertuples()]
    return tuple(sorted(found, key=lambda one: (-one.known - one.unknown, one.namespace)))
