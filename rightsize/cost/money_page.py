"""The tables of `docs/money.md` that come from data; a test holds the page against them."""

from __future__ import annotations

from rightsize.cost.check import implied_node_hour
from rightsize.cost.other import other_costs
from rightsize.prices.catalogue import on_demand_prices

CLAIM_NODES = 7
CLAIM_USD = 4300.0
"""The newsletter: 24 nodes become 17, for $4,300 a month."""
_TYPES = ("m5.large", "m5.xlarge", "m5.2xlarge", "m5.4xlarge", "m7i.4xlarge", "r5.4xlarge")


def other_costs_table() -> str:
    """The default prices beside EC2, as Markdown."""
    rows = ["| price | USD | for | as of | checked live | source |", "|---|---|---|---|---|---|"]
    for name, cost in other_costs().items():
        checked = "yes" if cost.verified else "no"
        rows.append(
            f"| `{name}` | {cost.usd:g} | {cost.unit} | {cost.as_of} | {checked} | {cost.source} |"
        )
    return "\n".join(rows)


def claim_table() -> str:
    """What 7 machines of a type save in 730 hours, against the claim, as Markdown."""
    table = on_demand_prices("us-east-1")
    prices = dict(zip(table["instance_type"], table["usd_per_hour"], strict=True))
    implied = implied_node_hour(CLAIM_USD, CLAIM_NODES)
    rows = ["| type, us-east-1 | USD a node-hour | 7 nodes, USD a month |", "|---|---|---|"]
    rows.append(f"| implied by the claim | {implied:.2f} | {CLAIM_USD:,.0f} |")
    for name in _TYPES:
        usd = float(prices[name])
        rows.append(f"| {name} | {usd:.3f} | {usd * CLAIM_NODES * 730:,.0f} |")
    return "\n".join(rows)
