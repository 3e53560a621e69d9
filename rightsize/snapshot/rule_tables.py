"""Tables of the rules that a cluster has for sizes of its own: LimitRanges, quotas, VPAs."""

from __future__ import annotations

from rightsize.snapshot.columns import FLOAT, TEXT, make_table

LIMIT_RANGES = make_table(
    "limit_ranges",
    "day",
    "What LimitRanges admit for each container or pod of a namespace; from objects alone.",
    ["namespace", "limit_range", "type", "resource"],
    [
        ("namespace", TEXT, "", "namespace of the LimitRange"),
        ("limit_range", TEXT, "", "its name"),
        ("type", TEXT, "", "`Container` or `Pod`"),
        ("resource", TEXT, "", "`cpu` or `memory`"),
        ("min", FLOAT, "cores or bytes", "smallest request; null if any is admitted"),
        ("max", FLOAT, "cores or bytes", "largest limit; null if any is admitted"),
        ("max_ratio", FLOAT, "", "largest limit / request; null if any is admitted"),
    ],
)

RESOURCE_QUOTAS = make_table(
    "resource_quotas",
    "day",
    "What ResourceQuotas allow a namespace in all; from objects alone.",
    ["namespace", "quota", "resource"],
    [
        ("namespace", TEXT, "", "namespace of the quota"),
        ("quota", TEXT, "", "its name"),
        ("resource", TEXT, "", "`requests.cpu`, `requests.memory`, `limits.cpu`, `limits.memory`"),
        ("hard", TEXT, "cores or bytes", "the most that is admitted, as written"),
    ],
)

VPAS = make_table(
    "vpas",
    "day",
    "One row for each container policy of each VerticalPodAutoscaler; from objects alone.",
    ["namespace", "vpa", "container", "resource"],
    [
        ("namespace", TEXT, "", "namespace of the autoscaler"),
        ("vpa", TEXT, "", "its name"),
        ("workload", TEXT, "", "workload that it sizes"),
        ("workload_kind", TEXT, "", "kind of that workload"),
        ("update_mode", TEXT, "", "`Off`, `Initial`, `Recreate`, `InPlaceOrRecreate` or `Auto`"),
        ("container", TEXT, "", "container of the policy; `*` for all without one of their own"),
        ("resource", TEXT, "", "`cpu` or `memory`"),
        ("acts", TEXT, "", "`yes` where it sets this request, `no` where it only recommends"),
    ],
)
