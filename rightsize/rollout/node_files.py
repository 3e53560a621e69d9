"""Files and commands of the phases about nodes, and of those that begin with new measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rightsize.border import path_part
from rightsize.files.shell import change_script, plain_script
from rightsize.files.yaml_text import to_yaml
from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.plan import NodePlan, NodeSet
from rightsize.prices.node_kinds import PACKED
from rightsize.rollout.later_phases import scoped_rows
from rightsize.rollout.steps import PhaseFiles, Step, restart
from rightsize.rollout.study import PlanStudy

_ROOM = 0.25
"""Nodes that an autoscaler may add to a group, as a share of its size."""
_POOL_COMMENT = (
    "Karpenter's side of nodegroups.yaml: the planned types, and the disruption that was replayed.\n"
    "The role and the discovery tag are the getting-started guide's; put yours where they differ."
)
_DRAIN = "--ignore-daemonsets --delete-emptydir-data --timeout=30m"


def fewer_files(gone: int, folder: str) -> PhaseFiles:
    """How so many nodes go: by an autoscaler, or by hand."""
    drain = plain_script(
        [
            'node="${1:?usage: sh drain-node.sh NODE}"',
            "id=$(kubectl get node \"$node\" -o jsonpath='{.spec.providerID}' | sed 's|.*/||')",
            f'kubectl drain "$node" {_DRAIN}',
            "aws autoscaling terminate-instance-in-auto-scaling-group "
            '--instance-id "$id" --should-decrement-desired-capacity',
        ],
        "Empties one node and takes it out of its Auto Scaling group. Disruption budgets hold: the\n"
        "drain waits for them, and nothing is terminated when it gives up.",
    )
    steps = (
        Step(
            "Karpenter: nodes go when the pool consolidates underused ones, and only within its "
            "budget.",
            (
                "kubectl get nodepools.karpenter.sh -o custom-columns="
                "NAME:.metadata.name,POLICY:.spec.disruption.consolidationPolicy,"
                "BUDGETS:.spec.disruption.budgets",
            ),
        ),
        Step(
            "Cluster Autoscaler: a node goes when less than scale-down-utilization-threshold of it "
            "is requested (0.5 unless set) and its pods fit elsewhere; what is fuller stays, and is "
            "drained by hand.",
            (
                "kubectl get configmap cluster-autoscaler-status -n kube-system "
                "-o jsonpath='{.data.status}'",
            ),
        ),
        Step(
            f"By hand, one node at a time, until {gone} have gone; the emptiest first. The group's "
            "minimum must allow it.",
            (
                "kubectl describe nodes | grep -E '^Name:|^  (cpu|memory) '",
                f"sh {folder}/drain-node.sh NODE",
            ),
        ),
    )
    back = (
        Step(
            "Give the group its nodes back (an autoscaler does so by itself when pods wait).",
            (
                "aws autoscaling describe-auto-scaling-groups --query "
                "'AutoScalingGroups[].[AutoScalingGroupName,DesiredCapacity]'",
                "aws autoscaling set-desired-capacity --auto-scaling-group-name GROUP "
                "--desired-capacity NUMBER",
            ),
        ),
    )
    return PhaseFiles(steps, back, {"drain-node.sh": drain})


def measured_files(study: PlanStudy, folder: str, *, restarted: bool) -> PhaseFiles:
    """Collect again, compare, plan anew; with `restarted`, scoped proxies start afresh before."""
    out = f"snapshots/{path_part(study.manifest.cluster)}"
    files: dict[str, str] = {}
    steps = []
    if restarted:
        changes = [
            restart(row.kind, str(row.namespace), str(row.workload)) for row in scoped_rows(study)
        ]
        files["restart.sh"] = change_script(
            changes, "Envoy seldom gives memory back while it runs."
        )
        text = "Restart the proxies of the scoped namespaces, then wait two weeks."
        steps.append(Step(text, (f"sh {folder}/restart.sh",)))
    steps += [
        Step(
            "Collect what was measured since; days that are there are kept.",
            (f'rightsize collect --prometheus-url "$PROMETHEUS_URL" --out {out}',),
        ),
        Step(
            "Did anything get worse? DATE is the day of the first restart.",
            (f"rightsize verify --snapshot {out} --since DATE",),
        ),
        Step(
            "A new plan, into a new folder.",
            (f"rightsize plan --snapshot {out} -o plan-next",),
        ),
    ]
    back = (Step("Nothing is written in this phase; the new plan has its own ways back."),)
    return PhaseFiles(tuple(steps), back, files)


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
    old = [] if study.ledger is None else _types(study) - set(node_set.by_type)
    selector = f"'node.kubernetes.io/instance-type in ({', '.join(sorted(old))})'"
    file = f"{folder}/nodegroups.yaml"
    steps = [
        Step(
            "The new nodes, beside the old ones (both are paid while the move lasts).",
            (f"eksctl create nodegroup -f {file}",),
        ),
        Step(
            "With Karpenter the NodePool instead: the names of the role and of the discovery tag in "
            "its EC2NodeClass are to be put in.",
            (f"kubectl apply -f {folder}/nodepool.yaml",),
        ),
    ]
    back = []
    if old:
        steps += [
            Step(
                "Then the old ones are closed and emptied, node by node.",
                (f"kubectl cordon -l {selector}", f"kubectl drain -l {selector} {_DRAIN}"),
            ),
            Step(
                "Their groups to zero, and away when the checks have held for a week.",
                (
                    f"eksctl get nodegroup --cluster {name}",
                    f"eksctl scale nodegroup --cluster {name} --name GROUP --nodes 0 --nodes-min 0",
                ),
            ),
        ]
        back.append(
            Step(
                "Scale the old groups up again, open them, and drain the new ones.",
                (
                    f"eksctl scale nodegroup --cluster {name} --name GROUP --nodes "
                    f"{study.ledger.nodes_today if study.ledger else 0}",
                    f"kubectl uncordon -l {selector}",
                    f"kubectl drain -l rightsize=planned {_DRAIN}",
                    f"eksctl delete nodegroup -f {file} --approve",
                ),
            )
        )
    else:
        back.append(
            Step("Take the new groups away.", (f"eksctl delete nodegroup -f {file} --approve",))
        )
    back.append(
        Step(
            "With Karpenter the NodePool goes, and its nodes with it.",
            (f"kubectl delete -f {folder}/nodepool.yaml",),
        )
    )
    files = {
        "nodegroups.yaml": to_yaml([config], comment=comment),
        "nodepool.yaml": to_yaml(_node_pool(study, node_set), comment=_POOL_COMMENT),
    }
    return PhaseFiles(tuple(steps), tuple(back), files)


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
