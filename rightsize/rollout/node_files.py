"""Files and commands of the phases about nodes, and of those that begin with new measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rightsize.border import path_part
from rightsize.files.shell import change_script
from rightsize.files.yaml_text import to_yaml
from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.plan import NodePlan, NodeSet
from rightsize.prices.node_kinds import PACKED
from rightsize.rollout.later_phases import scoped_rows
from rightsize.rollout.model import PhaseName
from rightsize.rollout.steps import PhaseFiles, Step, restart
from rightsize.rollout.study import PlanStudy
from rightsize.rollout.words import script, steps

_ROOM = 0.25
"""Nodes that an autoscaler may add to a group, as a share of its size."""
_POOL_COMMENT = (
    "Karpenter's side of nodegroups.yaml: the planned types, and the disruption that was replayed.\n"
    "The role and the discovery tag are the getting-started guide's; put yours where they differ."
)
_DRAIN = "--ignore-daemonsets --delete-emptydir-data --timeout=30m"


def fewer_files(gone: int, folder: str) -> PhaseFiles:
    """How so many nodes go: by an autoscaler, or by hand."""
    forth, back = steps("fewer-nodes", folder=folder, gone=gone)
    return PhaseFiles(
        tuple(forth), tuple(back), {"drain-node.sh": script("drain-node", drain=_DRAIN)}
    )


def measured_files(
    study: PlanStudy, name: PhaseName, folder: str, *, restarted: bool
) -> PhaseFiles:
    """Collect again, compare, plan anew; with `restarted`, scoped proxies start afresh before."""
    forth, back = steps(name, out=f"snapshots/{path_part(study.manifest.cluster)}")
    files: dict[str, str] = {}
    if restarted:
        changes = [
            restart(row.kind, str(row.namespace), str(row.workload)) for row in scoped_rows(study)
        ]
        files["restart.sh"] = change_script(
            changes, "Envoy seldom gives memory back while it runs."
        )
        text = "Restart the proxies of the scoped namespaces, then wait two weeks."
        forth.insert(0, Step(text, (f"sh {folder}/restart.sh",)))
    return PhaseFiles(tuple(forth), tuple(back), files)


def buy_files(study: PlanStudy, plan: NodePlan, folder: str) -> PhaseFiles:
    """New node groups beside the old ones, then the move."""
    assert plan.promised is not None
    node_set = plan.promised
    name, region = study.manifest.cluster, study.manifest.region
    comment = (
        "eksctl; the name of the cluster is the snapshot's, put yours where it differs.\n"
        "With Karpenter, nodepool.yaml in its stead."
    )
    config = {
        "apiVersion": "eksctl.io/v1alpha5",
        "kind": "ClusterConfig",
        "metadata": {"name": name, "region": region or "REGION"},
        "managedNodeGroups": _groups(node_set),
    }
    old = set() if study.ledger is None else _types(study) - set(node_set.by_type)
    forth, back = steps(
        "buy-nodes",
        folder=folder,
        old=old and f"'node.kubernetes.io/instance-type in ({', '.join(sorted(old))})'",
        none_old=not old,
        drain=_DRAIN,
        cluster=name,
        nodes=study.ledger.nodes_today if study.ledger else 0,
    )
    files = {
        "nodegroups.yaml": to_yaml([config], comment=comment),
        "nodepool.yaml": to_yaml(_node_pool(study, node_set), comment=_POOL_COMMENT),
    }
    return PhaseFiles(tuple(forth), tuple(back), files)


def _node_pool(study: PlanStudy, node_set: NodeSet) -> list[Mapping[str, object]]:
    """Karpenter's objects for the same types, with the settings that the replay has."""
    planned = [group for group in node_set.groups if group.kind in PACKED]
    zones = sorted({group.zone for group in planned if group.zone})
    wanted = {
        "node.kubernetes.io/instance-type": sorted({group.instance_type for group in planned}),
        "karpenter.sh/capacity-type": sorted({group.capacity_type for group in planned}),
        **({"topology.kubernetes.io/zone": zones} if zones else {}),
    }
    replayed = Autoscaler("karpenter")
    template = {
        "metadata": {"labels": {"rightsize": "planned"}},
        "spec": {
            "nodeClassRef": {
                "group": "karpenter.k8s.aws",
                "kind": "EC2NodeClass",
                "name": "rightsize",
            },
            "requirements": [
                {"key": key, "operator": "In", "values": values} for key, values in wanted.items()
            ],
        },
    }
    pool = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "rightsize"},
        "spec": {
            "template": template,
            "disruption": {
                "consolidationPolicy": replayed.policy,
                "consolidateAfter": f"{replayed.consolidate_after_minutes}m",
                "budgets": [{"nodes": f"{replayed.budget:.0%}"}],
            },
        },
    }
    tag = {"tags": {"karpenter.sh/discovery": study.manifest.cluster}}
    node_class = {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": {"name": "rightsize"},
        "spec": {
            "role": f"KarpenterNodeRole-{study.manifest.cluster}",
            "amiSelectorTerms": [{"alias": "al2023@latest"}],
            "subnetSelectorTerms": [tag],
            "securityGroupSelectorTerms": [tag],
        },
    }
    return [pool, node_class]


def _groups(node_set: NodeSet) -> list[Mapping[str, object]]:
    """One managed group for each type and way of buying."""
    totals: dict[tuple[str, str], tuple[int, set[str]]] = {}
    for one in (group for group in node_set.groups if group.kind in PACKED):
        nodes, zones = totals.get((one.instance_type, one.capacity_type), (0, set()))
        zones = zones | ({one.zone} if one.zone else set())
        totals[one.instance_type, one.capacity_type] = (nodes + one.nodes, zones)
    groups: list[Mapping[str, object]] = []
    for (name, capacity), (nodes, zones) in sorted(totals.items()):
        spot = capacity == "spot"
        group: dict[str, object] = {"name": f"{name.replace('.', '-')}{'-spot' if spot else ''}"}
        group |= {"instanceTypes": [name], "spot": True} if spot else {"instanceType": name}
        group |= {
            "desiredCapacity": nodes,
            "minSize": 0,
            "maxSize": nodes + math.ceil(nodes * _ROOM),
            "labels": {"rightsize": "planned"},
        }
        if zones:
            group["availabilityZones"] = sorted(zones)
        groups.append(group)
    return groups


def _types(study: PlanStudy) -> set[str]:
    """Instance types that ran, where known."""
    ledger = study.ledger
    lots = () if ledger is None else ledger.bill.today.node_set.mid
    return {lot.instance_type for lot in lots} - {"unknown"}
