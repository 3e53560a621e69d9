"""What AWS knows: shapes, prices, commitments, the cluster's machines, and the bill."""

from rightsize.collectors.aws.bundled import collect_aws, with_catalogue
from rightsize.collectors.aws.cache import Cache
from rightsize.collectors.aws.calls import CALLS, Call, iam_policy, iam_policy_text
from rightsize.collectors.aws.collect import Asked, AwsFacts, Month, Wanted, ask_aws
from rightsize.collectors.aws.session import AwsSession, partition_of
from rightsize.collectors.aws.store import refuse_other_region, region_of, store_aws

__all__ = [
    "CALLS",
    "Asked",
    "AwsFacts",
    "AwsSession",
    "Cache",
    "Call",
    "Month",
    "Wanted",
    "ask_aws",
    "collect_aws",
    "iam_policy",
    "iam_policy_text",
    "partition_of",
    "refuse_other_region",
    "region_of",
    "store_aws",
    "with_catalogue",
]
