"""Month over month: what this month cost beside those before it, and what was saved by then."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.output.report.model import Column, ReportTable, Section, signed, written
from rightsize.review import Review
from rightsize.review.model import StripMonth

_FIELDS = (
    "month", "hours", "bill_usd", "usd_per_day", "mesh_usd", "mesh_share", "nodes",
    "usd_per_million", "promised_usd", "realised_usd", "cumulative_usd",
)  # fmt: skip


def months_section(review: Review) -> Section:
    """Up to thirteen months, this one last, and one sentence that says what changed."""
    rows = [[getattr(month, name) for name in _FIELDS] for month in review.strip]
    frame = pd.DataFrame(rows, columns=list(_FIELDS))
    frame[list(_FIELDS[1:])] = frame[list(_FIELDS[1:])].astype(float).replace({None: np.nan})
    table = ReportTable(
        "months", "Months beside each other", frame,
        (
            Column("month", "month"), Column("hours", "hours seen", "number"),
            Column("bill_usd", "bill, USD", "usd"), Column("usd_per_day", "bill, USD a day", "usd"),
            Column("mesh_usd", "mesh, USD", "usd"), Column("mesh_share", "mesh's share", "percent"),
            Column("nodes", "mean nodes", "number"),
            Column("usd_per_million", "mesh, USD per million requests", "rate"),
            Column("promised_usd", "promised, USD a month", "usd"),
            Column("realised_usd", "realised, USD", "usd"),
            Column("cumulative_usd", "realised to date, USD", "usd"),
        ),
        note="Amounts are for the hours seen; compare months by the day, since they are not equally "
             "long. Months that neither the snapshot nor an earlier report has are not listed.",
    )  # fmt: skip
    return Section(
        "months",
        "Month over month",
        (month_sentence(review.strip, first=review.earlier is None),),
        (table,),
    )


def month_sentence(strip: tuple[StripMonth, ...], *, first: bool = False) -> str:
    """What this month's bill and mesh did against the month before, by the day.

    On a `first` report nothing was advised: what was saved is that of requests that fell.
    """
    now = strip[-1]
    if now.usd_per_day is None:
        return f"The bill of {now.month} is unknown, and so is its change."
    said = f"The bill of {now.month} was {written(now.usd_per_day, 'usd')} a day"
    before = strip[-2] if len(strip) > 1 else None
    if before is None:
        return f"{said}; no month before it is known."
    if not before.usd_per_day:
        return f"{said}; that of {before.month} is unknown."
    said += f", {signed(now.usd_per_day / before.usd_per_day - 1)} against {before.month}"
    if now.mesh_share is not None and before.mesh_share is not None:
        said += (
            f"; the mesh's share of it went from {written(before.mesh_share, 'percent')} to "
            f"{written(now.mesh_share, 'percent')}"
        )
    if now.nodes is not None and before.nodes is not None:
        said += f"; {before.nodes:.1f} nodes on the mean became {now.nodes:.1f}"
    return f"{said}{_saved(now, first)}."


def _saved(now: StripMonth, first: bool) -> str:
    """What earlier advice brought by now, as a part of the sentence."""
    what = "requests that fell since" if first else "earlier advice"
    if now.realised_usd is None:
        return f"; what {what} saved is unknown"
    said = f"; {what} saved {written(now.realised_usd, 'usd')}"
    if first or now.cumulative_usd is None:
        return said
    return f"{said}, {written(now.cumulative_usd, 'usd')} to date"
