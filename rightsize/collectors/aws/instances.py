"""The cluster's own machines (DescribeInstances), their root volumes, and its EKS version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from rightsize.collectors.aws.calls import CLUSTER, INSTANCES, VERSIONS, VOLUMES
from rightsize.collectors.aws.session import AwsSession
from rightsize.collectors.aws.tables import table_of
from rightsize.errors import AwsError, NoDataError

_PAGE = 1000
_IDS_AT_ONCE = 200
"""Values that one filter of EC2 may hold."""

_GROUP_TAGS = ("eks:nodegroup-name", "karpenter.sh/nodepool", "aws:autoscaling:groupName")


def cluster_tag(cluster: str) -> str:
    """Return the tag key that EKS, Karpenter and self-managed groups put on machines."""
    return f"kubernetes.io/cluster/{cluster}"


def fetch_instances(session: AwsSession, cluster: str) -> pd.DataFrame:
    """Return the running machines that carry the cluster's tag as the table `instances`.

    Root volumes are left null; `with_root_volumes` adds them.

    Raises
    ------
    NoDataError
        If no running machine carries the tag.
    AwsError
        If the request fails.
    """
    asked = {
        "Filters": [
            {"Name": "tag-key", "Values": [cluster_tag(cluster)]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ],
        "MaxResults": _PAGE,
    }
    rows = list(session.rows(INSTANCES, asked, _machines))
    if not rows:
        raise NoDataError(
            f"no running EC2 instance in {session.region} has the tag {cluster_tag(cluster)}",
            hint="check --cluster, --region and the account; Fargate pods have no instance",
        )
    return table_of("instances", rows)


def with_root_volumes(session: AwsSession, instances: pd.DataFrame) -> pd.DataFrame:
    """Return `instances` with size and type of each root volume, where AWS reports them.

    Root volumes are those attached first: the device name differs between images.

    Raises
    ------
    AwsError
        If the request fails.
    """
    ids = instances["instance_id"].astype(str).tolist()
    volumes = pd.DataFrame(
        list(_volumes(session, ids)), columns=["instance_id", "attached", "root_gib", "root_type"]
    )
    first = first_volumes(volumes)
    bare = instances.drop(columns=["root_gib", "root_type"])
    return table_of("instances", bare.merge(first, how="left"))


def first_volumes(volumes: pd.DataFrame) -> pd.DataFrame:
    """Add up the volumes attached in an instance's first second: Bottlerocket starts with two.

    Parameters
    ----------
    volumes : DataFrame
        `instance_id`, `attached`, `root_gib`, `root_type`.

    Returns
    -------
    DataFrame
        `instance_id`, `root_gib` (their sum), `root_type` (of the largest).
    """
    start = volumes.groupby("instance_id")["attached"].transform("min")
    there = volumes[volumes["attached"] == start].sort_values("root_gib", ascending=False)
    of_each = there.groupby("instance_id", as_index=False)
    return of_each.agg(root_gib=("root_gib", "sum"), root_type=("root_type", "first"))


def fetch_support(session: AwsSession, cluster: str) -> str:
    """Return `standard` or `extended`: the support of the cluster's Kubernetes version.

    Raises
    ------
    AwsError
        If a request fails, or EKS does not know the version.
    """
    version = next(
        session.rows(CLUSTER, {"name": cluster}, lambda page: [page["cluster"]["version"]])
    )
    asked = {"clusterVersions": [version]}
    for one, status in session.rows(VERSIONS, asked, _support_of_versions):
        if one == version and status:
            return "standard" if "standard" in status else "extended"
    raise AwsError(f"EKS does not say how version {version} of {cluster} is supported")


def _support_of_versions(page: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for item in page.get("clusterVersions", []):
        status = str(item.get("versionStatus") or item.get("status") or "").lower()
        yield item.get("clusterVersion"), status


def _machines(page: dict[str, Any]) -> Iterator[dict[str, object]]:
    for reservation in page.get("Reservations", []):
        yield from map(_row, reservation.get("Instances", []))


def _row(item: dict[str, Any]) -> dict[str, object]:
    tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}
    metadata = item.get("MetadataOptions") or {}
    return {
        "instance_id": item["InstanceId"],
        "node": item.get("PrivateDnsName") or None,
        "instance_type": item["InstanceType"],
        "zone": item.get("Placement", {}).get("AvailabilityZone"),
        # Absent means on-demand (EC2 API reference, Instance.instanceLifecycle).
        "purchase_option": item.get("InstanceLifecycle") or "on-demand",
        "node_group": next((tags[name] for name in _GROUP_TAGS if name in tags), None),
        "launched": item.get("LaunchTime"),
        "root_gib": None,
        "root_type": None,
        "metadata_tokens": metadata.get("HttpTokens"),
        "metadata_hops": metadata.get("HttpPutResponseHopLimit"),
        "metadata_endpoint": metadata.get("HttpEndpoint"),
    }


def _volumes(session: AwsSession, ids: list[str]) -> Iterator[tuple[object, ...]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        asked = {"Filters": [{"Name": "attachment.instance-id", "Values": some}]}
        yield from session.rows(VOLUMES, asked, _attachments)


def _attachments(page: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for item in page.get("Volumes", []):
        for attachment in item.get("Attachments", []):
            yield (
                attachment.get("InstanceId"),
                attachment.get("AttachTime"),
                float(item["Size"]),
                item.get("VolumeType"),
            )
