"""A small report with every kind of column, for tests of its forms."""

from __future__ import annotations

import pandas as pd

from rightsize.output.charts import entitle, new_axes, note_source
from rightsize.output.report.model import (
    Action,
    Assumption,
    Column,
    Figure,
    Method,
    Report,
    ReportChart,
    ReportTable,
    Section,
    WhatIf,
)
from rightsize.results import Interval

NASTY = [
    '<script>alert("x")</script>', "=cmd|' /C calc'!A0", "+1+1", "-2", "@sum", "\t=1", "\r=1",
    "<img src=x onerror=alert(1)>", "a|b *c* [d](http://e)", "$\\frac{1}{2}$", "w" * 200,
]  # fmt: skip


def made_report(names: list[str], usd: list[float] | None = None) -> Report:
    """A report whose one table has these workloads."""
    frame = pd.DataFrame({"workload": names, "usd": usd or [0.96] * len(names)})
    frame["nodes"], frame["hours"], frame["rate"] = 2.0, 5.0, 0.096
    frame["share"], frame["cpu"], frame["memory"], frame["change"] = 0.004, 0.05, 2.0**27, -1.5
    table = ReportTable(
        "bill", "The bill", frame,
        (
            Column("workload", "workload"), Column("nodes", "nodes", "number"),
            Column("hours", "hours", "number"), Column("rate", "USD/h", "rate"),
            Column("usd", "USD a month", "usd", total=True), Column("share", "share", "percent"),
            Column("cpu", "CPU", "cpu"), Column("memory", "memory", "memory"),
            Column("change", "change", "usd", total=True),
        ),
        note="What each costs.",
        formulas={} if usd else {"usd": "ROUND(B{row}*hours_per_month*D{row}*(1-discount),2)"},
    )  # fmt: skip
    axes = new_axes()
    axes.plot([1, 2], [3, 4])
    entitle(axes, names[0][:40] if names else "Nothing")
    note_source(axes, "source")
    chart = ReportChart("c", axes, f"A line, {names[0][:40] if names else 'none'}.")
    return Report(
        title="Mesh cost review, October 2026",
        subtitle=names[0] if names else "Cluster demo",
        banner="",
        figures=(Figure("Mesh cost", Interval(1, 2, 3), "usd", "of the bill", "bill", "bill"),),
        actions=(Action(f"Fix {names[0] if names else 'it'}", Interval(1, 2, 3), "1 hour", "low",
                        "see the diff"),),
        sections=(Section("bill", "The bill", ("Text.", "More."), (table,), (chart,)),),
        methods=(Method("bill", "Bill", "Nodes times hours."),),
        assumptions=(Assumption("hours_per_month", 5.0, "h", "a short month"),
                     Assumption("discount", 0.0, "share", "none"),
                     Assumption("max_cut", 0.5, "share", "largest cut in one step")),
        facts={"a": float("nan"), "b": Interval(1, 2, 3), "month": "2026-10", "cluster": "demo"},
        what_if=(WhatIf("machines", "2*hours_per_month*(1-discount)", "usd", 10.0),
                 WhatIf("a year of them", "{1}/hours_per_month*8760", "usd", 17520.0)),
    )  # fmt: skip
