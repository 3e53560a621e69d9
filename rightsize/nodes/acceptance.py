"""Which offers accept a pod's rules, by the labels and taints their nodes would carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from rightsize.nodes.inventory import OF_THE_NODE, Inventory, Pool
from rightsize.nodes.problem import Flags
from rightsize.nodes.rules import ZONE, Rules

ANY_ZONE = ""
"""Zone of an offer where zones do not matter."""


class Acceptance:
    """Which offers rules accept, by labels and taints."""

    def __init__(self, wide: pd.DataFrame, inventory: Inventory) -> None:
        self._wide = wide
        self._labels_known = inventory.labels_known
        self._rows = [
            (_offer_labels(row, inventory.pools), inventory.pools[int(pool)].taints)
            for row, pool in zip(wide.itertuples(), wide["pool"].to_numpy(), strict=True)
        ]

    def of(self, rules: Rules) -> Flags:
        """(O,) flags. Labels that cannot be foreseen for a new node are not asked for.

        Those are labels of the machine beyond type, size, zone and purchase (a host name, say), and
        labels of node groups where no node's labels are known.
        """
        terms = tuple(tuple(e for e in term if self._foreseen(e.key)) for term in rules.terms)
        asked = replace(rules, terms=terms)
        if () in asked.terms and not any(taints for _, taints in self._rows):
            return np.ones(len(self._rows), dtype=bool)
        return np.array([asked.accepts(labels, taints) for labels, taints in self._rows], bool)

    def _foreseen(self, key: str) -> bool:
        if self._rows and key in self._rows[0][0]:
            return True
        return self._labels_known and not key.startswith(OF_THE_NODE)


def _offer_labels(row: object, pools: tuple[Pool, ...]) -> dict[str, str]:
    def field(name: str) -> str:
        return str(getattr(row, name))

    labels = {
        "node.kubernetes.io/instance-type": field("instance_type"),
        "beta.kubernetes.io/instance-type": field("instance_type"),
        "kubernetes.io/arch": field("arch"),
        "beta.kubernetes.io/arch": field("arch"),
        "kubernetes.io/os": "linux",
        "beta.kubernetes.io/os": "linux",
        "karpenter.sh/capacity-type": field("capacity_type"),
        "eks.amazonaws.com/capacityType": field("capacity_type").upper().replace("-", "_"),
        "karpenter.k8s.aws/instance-family": field("family"),
        "karpenter.k8s.aws/instance-category": field("family")[:1],
        "karpenter.k8s.aws/instance-size": field("size"),
        "karpenter.k8s.aws/instance-generation": _whole(row, "generation"),
        "karpenter.k8s.aws/instance-cpu": _whole(row, "vcpu"),
    }
    if field("zone") != ANY_ZONE:
        labels[ZONE] = field("zone")
        labels["failure-domain.beta.kubernetes.io/zone"] = field("zone")
    return labels | dict(pools[int(field("pool"))].labels)


def _whole(row: object, name: str) -> str:
    value = float(getattr(row, name))
    return str(int(value)) if np.isfinite(value) else ""
