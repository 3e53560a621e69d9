"""Every AWS request this package makes. A call that is not listed here cannot be made.

`docs/iam-policy.json` is generated from this list, so it allows exactly what is asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from botocore import xform_name


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS operation, how its answers are paged, and where it may be allowed.

    `token_in` and `token_out` name the page token of request and answer; empty means one page.
    `scope` is what an IAM policy can bind the call to: the cluster's ARNs, the region, or nothing
    (services that answer for the whole account from another region).
    """

    service: str
    operation: str
    scope: Literal["cluster", "region", "account"]
    why: str
    token_in: str = ""
    token_out: str = ""

    @property
    def action(self) -> str:
        """The IAM action of the call."""
        return f"{self.service}:{self.operation}"

    @property
    def method(self) -> str:
        """The name of the method on the boto3 client."""
        return str(xform_name(self.operation))


INSTANCE_TYPES = Call(
    "ec2", "DescribeInstanceTypes", "region", "shapes of nodes", "NextToken", "NextToken"
)
SPOT_HISTORY = Call(
    "ec2",
    "DescribeSpotPriceHistory",
    "region",
    "Spot prices of each zone",
    "NextToken",
    "NextToken",
)
INSTANCES = Call(
    "ec2", "DescribeInstances", "region", "the cluster's machines", "NextToken", "NextToken"
)
VOLUMES = Call(
    "ec2", "DescribeVolumes", "region", "root volumes of these", "NextToken", "NextToken"
)
RESERVED = Call("ec2", "DescribeReservedInstances", "region", "reserved instances held")
GROUPS = Call(
    "autoscaling",
    "DescribeAutoScalingGroups",
    "region",
    "Auto Scaling groups of the cluster",
    "NextToken",
    "NextToken",
)
ACTIVITIES = Call(
    "autoscaling",
    "DescribeScalingActivities",
    "region",
    "past scaling events",
    "NextToken",
    "NextToken",
)
CLUSTER = Call("eks", "DescribeCluster", "cluster", "version, which sets the control plane's price")
VERSIONS = Call(
    "eks",
    "DescribeClusterVersions",
    "region",
    "whether that version is in extended support",
    "nextToken",
    "nextToken",
)
PRODUCTS = Call("pricing", "GetProducts", "account", "on-demand prices", "NextToken", "NextToken")
PLAN_RATES = Call(
    "savingsplans",
    "DescribeSavingsPlansOfferingRates",
    "account",
    "prices under a Savings Plan",
    "nextToken",
    "nextToken",
)
PLANS = Call(
    "savingsplans",
    "DescribeSavingsPlans",
    "account",
    "Savings Plans held",
    "nextToken",
    "nextToken",
)
COVERAGE = Call(
    "ce",
    "GetSavingsPlansCoverage",
    "account",
    "share of compute that Savings Plans cover (opt-in)",
    "NextToken",
    "NextToken",
)
COST = Call(
    "ce",
    "GetCostAndUsage",
    "account",
    "the month's bill (opt-in)",
    "NextPageToken",
    "NextPageToken",
)
LIST_EXPORT = Call(
    "s3",
    "ListObjectsV2",
    "account",
    "files of a cost export (opt-in)",
    "ContinuationToken",
    "NextContinuationToken",
)
READ_EXPORT = Call("s3", "GetObject", "account", "a file of a cost export (opt-in)")
"""Both of the one bucket that `report --bill s3://…` names, and so in no general policy."""

CALLS: tuple[Call, ...] = (
    INSTANCE_TYPES,
    SPOT_HISTORY,
    INSTANCES,
    VOLUMES,
    RESERVED,
    GROUPS,
    ACTIVITIES,
    CLUSTER,
    VERSIONS,
    PRODUCTS,
    PLAN_RATES,
    PLANS,
    COVERAGE,
    COST,
)
"""All of them. `sts:GetCallerIdentity`, which names the account for the cache, needs no
permission; `sts:AssumeRole` is asked for with `--role-arn` and belongs to the caller."""


def iam_policy(
    region: str = "REGION",
    account: str = "ACCOUNT",
    cluster: str = "CLUSTER",
    partition: str = "aws",
) -> dict[str, Any]:
    """Return the least-privilege policy for `CALLS`; upper-case words are to be filled in.

    The Describe calls of EC2, Auto Scaling and of EKS versions know no resource-level permission,
    so they are bound to the region; pricing, Savings Plans and Cost Explorer answer from another
    region than the cluster's, so that condition would deny them.
    """
    in_region = {"StringEquals": {"aws:RequestedRegion": region}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "RightsizeRegion",
                "Effect": "Allow",
                "Action": _actions("region"),
                "Resource": "*",
                "Condition": in_region,
            },
            {
                "Sid": "RightsizeCluster",
                "Effect": "Allow",
                "Action": _actions("cluster"),
                "Resource": f"arn:{partition}:eks:{region}:{account}:cluster/{cluster}",
            },
            {
                "Sid": "RightsizeAccount",
                "Effect": "Allow",
                "Action": _actions("account"),
                "Resource": "*",
            },
        ],
    }


def iam_policy_text(policy: dict[str, Any]) -> str:
    """Return the policy as the text of a JSON file."""
    return json.dumps(policy, indent=2) + "\n"


def _actions(scope: str) -> list[str]:
    return sorted(call.action for call in CALLS if call.scope == scope)
