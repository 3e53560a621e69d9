"""What a pod's scheduling fields demand of a node, as values that can be matched.

Read from the `scheduling` JSON of the snapshot: `nodeSelector`, `affinity`, `tolerations`,
`topologySpreadConstraints`, `overhead`, `priority`, in the shape of the Kubernetes API. Only
what is required counts (`requiredDuringScheduling…`, `DoNotSchedule`); preferences do not bind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rightsize.quantity import parse_quantity

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_ZONE_BEFORE = "failure-domain.beta.kubernetes.io/zone"


@dataclass(frozen=True)
class Expression:
    """One requirement on a label: `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.operator == "Exists":
            return value is not None
        if self.operator == "DoesNotExist":
            return value is None
        if self.operator == "NotIn":
            return value not in self.values
        if value is None:
            return False
        if self.operator == "In":
            return value in self.values
        if not value.lstrip("-").isdigit() or not self.values:
            return False
        limit = int(self.values[0])
        return int(value) > limit if self.operator == "Gt" else int(value) < limit


@dataclass(frozen=True)
class Toleration:
    """A taint that the pod puts up with; empty fields match anything."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return bool(self.key) and self.value == taint.value


@dataclass(frozen=True)
class Taint:
    """A taint of a node."""

    key: str
    value: str
    effect: str

    @property
    def binds(self) -> bool:
        """It keeps pods away, and belongs to the node rather than to its present state."""
        if self.effect not in ("NoSchedule", "NoExecute"):
            return False
        passing = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "ToBeDeleted")
        return not self.key.startswith((*passing, "DeletionCandidate", "karpenter.sh/"))


@dataclass(frozen=True)
class Apart:
    """Required anti-affinity: no pod that matches within the same topology."""

    topology: str
    selector: tuple[Expression, ...]
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spread:
    """A topology spread constraint."""

    topology: str
    max_skew: int
    selector: tuple[Expression, ...]


@dataclass(frozen=True)
class Rules:
    """All that a pod demands. `terms`: any one of them must match, each wholly."""

    terms: tuple[tuple[Expression, ...], ...] = ((),)
    tolerations: tuple[Toleration, ...] = ()
    apart: tuple[Apart, ...] = ()
    spread: tuple[Spread, ...] = ()
    """Constraints that forbid (`DoNotSchedule`)."""
    preferred: tuple[Spread, ...] | None = None
    """Constraints that only score (`ScheduleAnyway`); None where the pod has no constraint at all, and the
    scheduler's own apply."""
    needs_others: bool = False
    """It has required pod affinity, which plans do not model."""
    priority: int = 0
    overhead_cpu: float = 0.0
    overhead_memory: float = 0.0
    known: bool = False
    """The snapshot knows the pod's scheduling fields."""

    def accepts(self, labels: Mapping[str, str], taints: tuple[Taint, ...]) -> bool:
        """May the pod run on a node with these labels and taints?"""
        if not any(all(e.matches(labels) for e in term) for term in self.terms):
            return False
        return all(
            any(toleration.tolerates(taint) for toleration in self.tolerations)
            for taint in taints
            if taint.binds
        )

    @property
    def keys(self) -> frozenset[str]:
        """Label keys the pod asks about."""
        return frozenset(e.key for term in self.terms for e in term)


UNKNOWN = Rules()


@lru_cache(maxsize=65536)
def parse_rules(text: str | None) -> Rules:
    """Rules of a `scheduling` JSON; unknown (None) gives rules that demand nothing."""
    if not text:
        return UNKNOWN
    body: dict[str, Any] = json.loads(text)
    affinity = body.get("affinity") or {}
    pods_apart = (affinity.get("podAntiAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    beside = (affinity.get("podAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    overhead = body.get("overhead") or {}
    constraints = body.get("topologySpreadConstraints") or []
    return Rules(
        terms=_terms(body.get("nodeSelector") or {}, affinity.get("nodeAffinity") or {}),
        tolerations=tuple(
            Toleration(
                t.get("key") or "",
                t.get("operator") or "Equal",
                t.get("value") or "",
                t.get("effect") or "",
            )
            for t in body.get("tolerations") or ()
        ),
        apart=tuple(
            Apart(
                _topology(term.get("topologyKey")),
                _selector(term.get("labelSelector")),
                tuple(term.get("namespaces") or ()),
            )
            for term in pods_apart or ()
        ),
        spread=_spreads(constraints, "DoNotSchedule"),
        preferred=_spreads(constraints, "ScheduleAnyway") if constraints else None,
        needs_others=bool(beside),
        priority=int(body.get("priority") or 0),
        overhead_cpu=parse_quantity(overhead.get("cpu", 0)),
        overhead_memory=parse_quantity(overhead.get("memory", 0)),
        known=True,
    )


def parse_taints(text: str | None) -> tuple[Taint, ...]:
    """Taints of a node from JSON; unknown gives none."""
    found = json.loads(text) if text else []
    return tuple(
        Taint(t.get("key") or "", t.get("value") or "", t.get("effect") or "") for t in found or ()
    )


def matches(selector: tuple[Expression, ...], labels: Mapping[str, str]) -> bool:
    """Does a label selector match? One without requirements matches every pod."""
    return all(expression.matches(labels) for expression in selector)


def _terms(
    selector: Mapping[str, str], node_affinity: Mapping[str, Any]
) -> tuple[tuple[Expression, ...], ...]:
    base = tuple(Expression(k, "In", (str(v),)) for k, v in sorted(selector.items()))
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms") or []
    if not terms:
        return (base,)
    # matchFields (metadata.name) is how the DaemonSet controller pins its pods: it names the
    # node of today and says nothing about another one.
    return tuple((*base, *_expressions(term.get("matchExpressions"))) for term in terms)


def _selector(selector: Mapping[str, Any] | None) -> tuple[Expression, ...]:
    body = selector or {}
    labels = sorted((body.get("matchLabels") or {}).items())
    return (
        *(Expression(k, "In", (str(v),)) for k, v in labels),
        *_expressions(body.get("matchExpressions")),
    )


def _spreads(constraints: list[Mapping[str, Any]], action: str) -> tuple[Spread, ...]:
    return tuple(
        Spread(
            _topology(c.get("topologyKey")),
            int(c.get("maxSkew") or 1),
            _selector(c.get("labelSelector")),
        )
        for c in constraints
        if c.get("whenUnsatisfiable", "DoNotSchedule") == action
    )


def _expressions(found: Any) -> tuple[Expression, ...]:
    return tuple(
        Expression(e["key"], e["operator"], tuple(str(v) for v in e.get("values") or ()))
        for e in found or ()
    )


def _topology(key: str | None) -> str:
    return ZONE if key == _ZONE_BEFORE else (key or "")
