"""How each kind of figure comes about, in words; the page's figures link here."""

from __future__ import annotations

from rightsize.output.report.model import Method

METHODS = (
    Method(
        "words",
        "Words of this page",
        "Packed: pods placed as closely as they fit, with nothing kept free; promised: what a replay of "
        "the scheduler needs, with a node to spare. On-demand equivalent: a saving at list prices, "
        "which commitments may keep from reaching the bill. In-sample: judged on the days that the "
        "sizes were found on; out of sample: on days that came later. p50 and p95: the use that half "
        "and 95 percent of the 5-minute windows stay below. This step: what to apply now; end state: "
        "where the steps lead. Known lines: a sum without the lines that are unknown.",
    ),
    Method(
        "bill",
        "The bill and who causes it",
        "Each node's cost (hours seen times the price of its type) is split over the requests on "
        "it, at the prices of a core and a byte that the region's machines imply. What the kubelet "
        "holds back is system, what nobody requested is idle, what belongs to no machine is shared. "
        "Cents are dealt out by largest remainder, so all rows add up to the bill. Where the settings "
        "choose the larger of request and use (OpenCost's rule), a container that uses more than it "
        "requests is charged for that, idle room is smaller by as much, and one that uses less is "
        "charged as before.",
    ),
    Method(
        "saving",
        "Saving available",
        "Requests free no dollars, nodes do. Today's pods of the busiest hour are placed on nodes of "
        "today's type with the recommended requests, by a replay of the scheduler that also survives "
        "the loss of a node during a rollout. The saving is today's machines less these. The range "
        "comes from demand, the gap left to the proven bound, and the age of prices. Where "
        "commitments are unknown it is an on-demand equivalent, which no bill has to show.",
    ),
    Method(
        "realised",
        "Promised against realised",
        "A recommendation counts as applied when the requests in force are the recommended ones, to "
        "2 percent. Both months' machine costs are compared at this month's prices, so a price "
        "change is no saving. Of the rest only that part counts which lowered requests explain and "
        "the node set shows; what traffic, replicas and others changed is shown apart. Nothing applied "
        "saves nothing. Nodes that lowered requests kept from being added count from one whole node "
        "on; below that the node set's slack would have done, and it is only the upper bound.",
    ),
    Method(
        "risk",
        "Risk taken",
        "Share of the month's 5-minute windows in which a container used more CPU than the "
        "recommended request, over all mesh containers. It is in-sample: the sizes were found on "
        "these windows and earlier ones. Using more than a request is served by spare CPU of the "
        "node; using more than a memory limit kills.",
    ),
    Method(
        "sizes",
        "Requests and recommendations",
        "Percentiles pool the 5-minute windows of all pods of a workload. A policy turns them into "
        "requests; guards keep what is there when history is thin, raise what was throttled or "
        "OOM-killed, and cut at most a set share in one step. The step is what to apply now, the "
        "end state is where the steps lead.",
    ),
    Method(
        "growth",
        "Control-plane growth",
        "Services, proxies and endpoints by day are fitted with a straight line and a constant share "
        "of growth; the band holds nine in ten. istiod's memory and CPU follow from a model fitted "
        "on its own history.",
    ),
    Method(
        "quality",
        "Data quality",
        "What the source did not have, and what that costs the answer, as collected. Nothing is "
        "filled in. Carbon is not estimated, for want of published coefficients with a range.",
    ),
)
