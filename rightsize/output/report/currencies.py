"""The month's amounts in the currencies that the settings state a rate for."""

from __future__ import annotations

import pandas as pd

from rightsize.output.report.model import Column, Figure, ReportTable
from rightsize.results import Interval
from rightsize.review import Review


def currencies_table(
    review: Review, parts: pd.DataFrame, figures: tuple[Figure, ...]
) -> ReportTable | None:
    """The bill, its causes and the savings, in USD and in each currency; None without a rate.

    Parameters
    ----------
    parts : DataFrame
        `part` and `usd` (NaN is unknown) of each cause.
    figures : tuple of Figure
        Of which those in USD that are no cause are listed below the bill.
    """
    if not review.currencies:
        return None
    names = [*parts["part"], "bill"]
    amounts: list[float | None] = [*parts["usd"].astype(float), review.money.allocation.total_usd]
    for figure in figures:
        if figure.kind == "usd" and figure.table != "parts":
            names.append(figure.label.lower())
            value = figure.value
            amounts.append(value.mid if isinstance(value, Interval) else value)
    usd = pd.Series(amounts, dtype=float)
    rates = dict(sorted(review.currencies.items()))
    frame = pd.DataFrame({"what": names, "usd": usd} | {c: usd / r.usd for c, r in rates.items()})
    said = ", ".join(f"1 {code} = {rate.usd:g} USD ({rate.as_of})" for code, rate in rates.items())
    return ReportTable(
        "currencies",
        "In other currencies",
        frame,
        (
            Column("what", "amount"),
            Column("usd", "USD", "usd"),
            *(Column(code, code, "number") for code in rates),
        ),
        note=f"At the rates of the settings: {said}. Every other table is in USD.",
    )
