"""Past scaling events of the cluster's Auto Scaling groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from rightsize.collectors.aws.calls import ACTIVITIES, GROUPS
from rightsize.collectors.aws.instances import cluster_tag
from rightsize.collectors.aws.session import AwsSession
from rightsize.collectors.aws.tables import table_of
from rightsize.errors import NoDataError

_PAGE = 100


def fetch_scaling_events(session: AwsSession, cluster: str) -> pd.DataFrame:
    """Return the activities of every group with the cluster's tag as `scaling_events`.

    Raises
    ------
    NoDataError
        If no Auto Scaling group has the tag: Karpenter launches machines without groups.
    AwsError
        If a request fails.
    """
    asked = {
        "Filters": [{"Name": "tag-key", "Values": [cluster_tag(cluster)]}],
        "MaxRecords": _PAGE,
    }
    groups = list(session.rows(GROUPS, asked, _names))
    if not groups:
        raise NoDataError(
            f"no Auto Scaling group in {session.region} has the tag {cluster_tag(cluster)}"
        )
    rows = [
        row
        for group in groups
        for row in session.rows(
            ACTIVITIES, {"AutoScalingGroupName": group, "MaxRecords": _PAGE}, _activities
        )
    ]
    return table_of("scaling_events", rows)


def _names(page: dict[str, Any]) -> Iterator[str]:
    for item in page.get("AutoScalingGroups", []):
        yield item["AutoScalingGroupName"]


def _activities(page: dict[str, Any]) -> Iterator[dict[str, object]]:
    return map(_row, page.get("Activities", []))


def _row(item: dict[str, Any]) -> dict[str, object]:
    # AWS names no kind; the description begins with it ("Launching a new EC2 instance: i-0…").
    text = str(item.get("Description", "")).lower()
    kind = "launch" if text.startswith("launching") else "other"
    return {
        "activity": item["ActivityId"],
        "time": item["StartTime"],
        "group": item["AutoScalingGroupName"],
        "kind": "terminate" if text.startswith("terminating") else kind,
        "status": item.get("StatusCode"),
        "cause": item.get("Cause"),
    }
