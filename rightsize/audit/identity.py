"""What of a snapshot's nodes and pods could reach the mesh's certificates."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from rightsize.audit.model import Finding, Note
from rightsize.audit.rules.node_metadata import WHY
from rightsize.audit.tree import Place
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows, plain_text

METADATA, BESIDE = "measured-node-metadata", "measured-node-access"
_SHOWN = 3
_SYSTEM = "kube-system"


def identity_findings(snapshot: Snapshot) -> Iterator[Finding | Note]:
    """Findings of the last day: open instance metadata, and pods with a node of istiod's in hand."""
    file = str(snapshot.path)
    pods = plain_text(snapshot.read("pods", days=snapshot.days[-1:]))
    containers = plain_text(snapshot.read("containers", days=snapshot.days[-1:]))
    keys = containers.loc[containers["component"] == "istiod", ["namespace", "pod"]]
    istiods = pods.merge(keys.drop_duplicates(), on=["namespace", "pod"])
    nodes = set(istiods["node"].dropna())
    yield from _metadata(file, newest_rows(snapshot, "instances"), nodes)
    if not nodes:
        yield Note(BESIDE, file, "the snapshot does not show on which nodes istiod runs")
        return
    yield from _beside(file, pods, set(istiods["pod"]), nodes)


def _metadata(file: str, instances: pd.DataFrame, nodes: set[str]) -> Iterator[Finding | Note]:
    known = instances[instances["metadata_tokens"].notna() & instances["metadata_hops"].notna()]
    if known.empty:
        why = "the snapshot has no metadata options of its nodes (rightsize prices reads them)"
        yield Note(METADATA, file, why)
        return
    on = known["metadata_endpoint"].ne("disabled")
    optional, far = known["metadata_tokens"].eq("optional"), known["metadata_hops"] > 1
    reached = known[on & (optional | far)]
    if reached.empty:
        return
    ours = reached["node"].isin(nodes)
    parts = [f"{int((on & optional).sum())} ask for no token", f"{int((on & far).sum())} answer over more than one hop"]  # fmt: skip
    yield Finding(
        METADATA,
        "error" if ours.any() else "warning",
        Place(file, 0, 1, "instances.metadata_hops"),
        f"pods of {len(reached)} of {len(known)} nodes reach the instance metadata: {', '.join(parts)}"
        f"; istiod runs on {int(ours.sum())} of them{_groups(reached)}",
        WHY,
        "every release",
        "aws ec2 modify-instance-metadata-options --instance-id ID --http-tokens required "
        "--http-put-response-hop-limit 1  # and metadata_options of the launch template; "
        "pods take roles by EKS Pod Identity or IRSA",
    )


def _groups(instances: pd.DataFrame) -> str:
    names = sorted(set(instances["node_group"].dropna().astype(str)))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"; node groups {', '.join(names[:_SHOWN])}{more}" if names else ""


def _beside(
    file: str, pods: pd.DataFrame, istiods: set[str], nodes: set[str]
) -> Iterator[Finding | Note]:
    """Pods with the node's network or privileges on istiod's nodes, the system's own left aside."""
    there = pods[pods["node"].isin(nodes) & ~pods["pod"].isin(istiods)]
    others = there[there["namespace"] != _SYSTEM]
    host = others["host_network"].eq(True)
    privileged = others["privileged"].eq(True)
    if len(others) and others["privileged"].isna().all():
        why = "whether pods are privileged is not in the snapshot (collect with --objects)"
        yield Note(BESIDE, file, why)
    owners = others["workload"].fillna(others["pod"])
    shown = others.assign(owner=others["namespace"] + "/" + owners)[host | privileged]
    for owner, rows in shown.groupby("owner"):
        ways = [
            text
            for text, column in (("has the node's network", host), ("is privileged", privileged))
            if column[rows.index].any()
        ]
        count = rows["node"].nunique()
        yield Finding(
            BESIDE,
            "warning" if privileged[rows.index].any() else "info",
            Place(file, 0, 1, "pods.host_network"),
            f"{owner} {' and '.join(ways)} on {count} of istiod's {len(nodes)} nodes",
            "A privileged pod reads what every pod of its node holds, istiod's CA too; the node's network "
            "reaches the instance metadata at any hop limit.",
            "every release",
            "# nodes of istiod's own: pilot.nodeSelector and pilot.tolerations for a tainted node group",
        )
