"""Tables that AWS fills: prices, instances, commitments, scaling, the bill."""

from __future__ import annotations

from rightsize.snapshot.columns import (
    FLAG,
    FLOAT,
    LARGEST_CPU,
    LARGEST_MEMORY,
    TEXT,
    TIME,
    make_table,
)

PRICES = make_table(
    "prices",
    "day",
    "EC2 prices and instances as AWS reported them that day; empty where AWS was not asked.",
    ["instance_type", "purchase_option", "zone"],
    [
        ("instance_type", TEXT, "", "EC2 instance type"),
        ("region", TEXT, "", "AWS region"),
        ("zone", TEXT, "", "availability zone of a Spot price; null otherwise"),
        ("purchase_option", TEXT, "", "on-demand, spot or savings-plan"),
        ("usd_per_hour", FLOAT, "USD/h", "price of one instance"),
        ("source", TEXT, "", "where the price comes from"),
        ("as_of", TIME, "", "when it was valid"),
        ("lowest", FLOAT, "USD/h", "lowest Spot price of the days asked for; null otherwise"),
        ("highest", FLOAT, "USD/h", "highest Spot price of the days asked for; null otherwise"),
    ],
    most=dict.fromkeys(("usd_per_hour", "lowest", "highest"), 1e5),
)

INSTANCE_TYPES = make_table(
    "instance_types",
    "day",
    "EC2 instance types of the region as AWS reported them; empty where AWS was not asked.",
    ["instance_type"],
    [
        ("instance_type", TEXT, "", "EC2 instance type"),
        ("vcpu", FLOAT, "vCPUs", "default vCPUs"),
        ("memory", FLOAT, "bytes", "memory of the machine"),
        ("arch", TEXT, "", "`amd64` or `arm64`; Mac machines with `-mac` behind"),
        ("max_enis", FLOAT, "interfaces", "network interfaces of the default card"),
        ("ipv4_per_eni", FLOAT, "addresses", "IPv4 addresses of one interface"),
        ("hypervisor", TEXT, "", "nitro or xen; null for bare metal"),
        ("bare_metal", FLAG, "", "it has no hypervisor"),
        ("burstable", FLAG, "", "CPU above its baseline runs on credits"),
        ("current_generation", FLAG, "", "AWS counts it to the current generation"),
        ("gpus", FLOAT, "GPUs", "number of GPUs"),
    ],
    most={
        "vcpu": LARGEST_CPU,
        "memory": LARGEST_MEMORY,
        **dict.fromkeys(("max_enis", "ipv4_per_eni", "gpus"), 1e4),
    },
)

INSTANCES = make_table(
    "instances",
    "day",
    "EC2 instances that carry the cluster's tag; empty where AWS was not asked.",
    ["instance_id"],
    [
        ("instance_id", TEXT, "", "EC2 instance"),
        ("node", TEXT, "", "private DNS name, which is the node's name unless configured else"),
        ("instance_type", TEXT, "", "EC2 instance type"),
        ("zone", TEXT, "", "availability zone"),
        ("purchase_option", TEXT, "", "on-demand, spot, scheduled or capacity-block"),
        ("node_group", TEXT, "", "EKS node group or Karpenter pool of its tags; null if none"),
        ("launched", TIME, "", "when it was launched"),
        ("root_gib", FLOAT, "GiB", "size of the volumes it started with; null if unknown"),
        ("root_type", TEXT, "", "type of the root volume (gp3, gp2, …); null if unknown"),
        (
            "metadata_tokens",
            TEXT,
            "",
            "`required` or `optional`: whether the instance metadata asks for a token; null if unknown",
        ),
        (
            "metadata_hops",
            FLOAT,
            "hops",
            "network hops that an answer with a token may take: pods are one further than the node; "
            "null if unknown",
        ),
        ("metadata_endpoint", TEXT, "", "`enabled` or `disabled`; null if unknown"),
    ],
    most={"root_gib": 2.0**20, "metadata_hops": 255},
    later=["metadata_tokens", "metadata_hops", "metadata_endpoint"],
)

COMMITMENTS = make_table(
    "commitments",
    "day",
    "What the account has committed to pay, and how much of its EC2 use that covers.",
    ["commitment"],
    [
        ("commitment", TEXT, "", "its id, or `coverage` for the share Cost Explorer reports"),
        (
            "kind",
            TEXT,
            "",
            "compute-savings-plan, instance-savings-plan, reserved-instance, setting, coverage, "
            "`none` (asked, there is none) or `unknown` (a part could not be asked)",
        ),
        ("family", TEXT, "", "instance family it is bound to; null if any"),
        ("instance_type", TEXT, "", "instance type of a reservation; null otherwise"),
        ("zone", TEXT, "", "zone of a zonal reservation; null otherwise"),
        ("count", FLOAT, "instances", "reserved instances; null otherwise"),
        ("usd_per_hour", FLOAT, "USD/h", "what is paid whether used or not; null if unknown"),
        ("discount", FLOAT, "share", "discount on on-demand prices; null if unknown"),
        ("covered_share", FLOAT, "share", "share of on-demand spend covered; coverage only"),
        ("ends", TIME, "", "when it ends; null if unknown"),
        ("source", TEXT, "", "where it comes from"),
    ],
    most={"count": 1e7, "usd_per_hour": 1e7, "discount": 1.0, "covered_share": 1.0},
)

SCALING_EVENTS = make_table(
    "scaling_events",
    "day",
    "Activities of the cluster's Auto Scaling groups; AWS keeps six weeks of them.",
    ["activity"],
    [
        ("activity", TEXT, "", "id of the activity"),
        ("time", TIME, "", "when it began"),
        ("group", TEXT, "", "Auto Scaling group"),
        ("kind", TEXT, "", "launch, terminate or other"),
        ("status", TEXT, "", "Successful, Failed, Cancelled, …"),
        ("cause", TEXT, "", "what AWS gives as the cause"),
    ],
)

BILL = make_table(
    "bill",
    "day",
    "The month's bill by Cost Explorer; empty unless it was asked for (each request costs money).",
    ["start", "service", "usage_type"],
    [
        ("start", TIME, "", "first day of the period"),
        ("end", TIME, "", "day after the last day of the period"),
        ("service", TEXT, "", "AWS service"),
        ("usage_type", TEXT, "", "usage type, as `BoxUsage:m5.large`"),
        ("category", TEXT, "", "ec2, ebs, data-transfer, load-balancer, eks, nat or other"),
        ("unblended_usd", FLOAT, "USD", "cost as charged in the period"),
        ("amortized_usd", FLOAT, "USD", "cost with upfront fees spread; null if unknown"),
        ("usage", FLOAT, "as unit", "quantity used"),
        ("unit", TEXT, "", "unit of the quantity"),
        ("estimated", FLAG, "", "AWS may still change it"),
        ("scope", TEXT, "", "`account`, or the tag and value it was filtered by"),
    ],
)
