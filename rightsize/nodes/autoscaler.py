"""The autoscalers that a month is replayed under, with the settings that decide which nodes go."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

AutoscalerKind = Literal["cluster-autoscaler", "karpenter"]
ConsolidationPolicy = Literal["WhenEmptyOrUnderutilized", "WhenEmpty"]
_DEFAULT_THRESHOLD = 0.5
_UNNEEDED_MINUTES = 10


@dataclass(frozen=True)
class Autoscaler:
    """An autoscaler with the settings that decide which nodes go."""

    kind: AutoscalerKind
    threshold: float = _DEFAULT_THRESHOLD
    """Cluster Autoscaler's `--scale-down-utilization-threshold`."""
    ignore_daemonsets: bool = False
    """Cluster Autoscaler's `--ignore-daemonsets-utilization`."""
    unneeded_minutes: int = _UNNEEDED_MINUTES
    """Cluster Autoscaler's `--scale-down-unneeded-time`."""
    policy: ConsolidationPolicy = "WhenEmptyOrUnderutilized"
    """Karpenter's `consolidationPolicy`."""
    consolidate_after_minutes: int = 0
    """Karpenter's `consolidateAfter`, from the node's last pod event."""
    budget: float = 0.1
    """Share of a NodePool's nodes that Karpenter disrupts at once (`budgets`)."""
    replaces: bool = False
    """Karpenter may buy every type that the settings allow, not those in use alone."""
    spare_pod: bool = False
    """An overprovisioning pod of low priority keeps room that any other pod may take."""
    least: int = 0
    """Cluster Autoscaler takes no node away of so few: the minimum sizes of its groups together."""

    @property
    def setting(self) -> str:
        """How it is configured, as its own documentation writes it."""
        words = self._karpenter() if self.kind == "karpenter" else self._cluster_autoscaler()
        return words + (" and an overprovisioning pod" if self.spare_pod else "")

    def _cluster_autoscaler(self) -> str:
        words = f"--scale-down-utilization-threshold={self.threshold:g}"
        if self.ignore_daemonsets:
            words += " --ignore-daemonsets-utilization"
        if self.unneeded_minutes != _UNNEEDED_MINUTES:
            words += f" --scale-down-unneeded-time={_duration(self.unneeded_minutes)}"
        if self.least:
            words += f" and node groups of at least {self.least} nodes together (minSize)"
        return words

    def _karpenter(self) -> str:
        words = f"consolidationPolicy: {self.policy}, consolidateAfter: " + _duration(
            self.consolidate_after_minutes
        )
        if self.budget != 0.1:
            words += f", budgets: {self.budget:.0%}"
        return words + (", every allowed type" if self.replaces else "")

    def at_once(self, nodes: int) -> int:
        """Nodes that Karpenter disrupts at once; a share is rounded up."""
        # 0.1 * 30 is a hair above 3 in floats, and is three nodes.
        return math.ceil(self.budget * nodes - 1e-9)


def _duration(minutes: int) -> str:
    if minutes == 0:
        return "0s"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


TRIED: Mapping[AutoscalerKind, tuple[Autoscaler, ...]] = {
    "cluster-autoscaler": (
        Autoscaler("cluster-autoscaler"),
        Autoscaler("cluster-autoscaler", ignore_daemonsets=True),
        *(Autoscaler("cluster-autoscaler", value) for value in (0.6, 0.65, 0.7, 0.75, 0.8)),
    ),
    "karpenter": (
        Autoscaler("karpenter"),
        Autoscaler("karpenter", budget=0.5),
        Autoscaler("karpenter", policy="WhenEmpty"),
    ),
}
"""Settings by autoscaler: its default first, then those nearer to it."""


def calmer(scaler: Autoscaler, end: int) -> tuple[Autoscaler, ...]:
    """The same setting with what may spare scaling events: a longer wait, or room kept free.

    Parameters
    ----------
    scaler : Autoscaler
    end : int
        Nodes at the end without it; Cluster Autoscaler is tried with a minimum of one more.
    """
    spare = replace(scaler, spare_pod=True)
    if scaler.kind == "karpenter":
        waits = (replace(scaler, consolidate_after_minutes=minutes) for minutes in (120, 720))
        return (*waits, spare)
    return replace(scaler, unneeded_minutes=720), spare, replace(scaler, least=end + 1)


def autoscaler_in_use(nodes: pd.DataFrame) -> AutoscalerKind:
    """Karpenter where a node has one of its labels, else Cluster Autoscaler.

    Parameters
    ----------
    nodes : DataFrame
        The snapshot's table `nodes`.
    """
    for text in nodes["labels"].dropna().astype(str).unique():
        if any(name.startswith("karpenter.sh/") for name in json.loads(text)):
            return "karpenter"
    return "cluster-autoscaler"
