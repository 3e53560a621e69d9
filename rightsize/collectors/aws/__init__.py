"""What AWS knows: shapes, prices, commitments, the cluster's machines, and the bill."""

from rightsize.collectors.aws.cache import Cache
from rightsize.collectors.aws.calls import CALLS, Call, iam_policy, iam_policy_text
from rightsize.collectors.aws.collect import Asked, AwsFacts, Month, collect_aws
from rightsize.collectors.aws.session import AwsSession

__all__ = [
    "CALLS",
    "Asked",
    "AwsFacts",
    "AwsSession",
    "Cache",
    "Call",
    "Month",
    "collect_aws",
    "iam_policy",
    "iam_policy_text",
]
