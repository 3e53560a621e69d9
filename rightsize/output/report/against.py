"""The estimate against the bill that finance has."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rightsize.cost.against_bill import AgainstBill, Cause
from rightsize.output.report.model import Column, ReportTable, Section, signed, written

_SHOWN_MACHINES = 40
CAUSES: Mapping[Cause, str] = {
    "agrees": "agrees to 1 percent",
    "hours": "hours: the machine was billed for longer or shorter than it was seen",
    "rate": "rate: a discount, or another price than ours",
    "savings-plan": "a Savings Plan pays for it",
    "reserved": "a reservation pays for it",
    "spot": "Spot: billed at another price than the one collected",
    "not-billed": "no row of the bill is of it",
    "not-seen": "billed, and in no node row: it never joined, or the snapshot has a gap",
    "no-price": "no price of our own",
    "no-rate-of-currency": "billed in another currency, and no rate is set",
    "not-estimated": "not estimated",
    "more-than-root": "the bill has all volumes at their real sizes, the estimate root volumes",
    "all-traffic": "the bill has all traffic, the estimate that of the mesh between zones",
    "support": "hours, or extended support of the version",
    "unknown-amount": "the export lacks a column that its amount needs",
}


def against_section(against: AgainstBill) -> Section:
    """By line, by machine and day, by namespace, and what no estimate can hold."""
    text = [total_sentence(against)]
    if not against.identified:
        text.append(
            "The snapshot's nodes state no instance ids, so machines are found by the tag "
            "aws:eks:cluster-name alone, and not compared one by one."
        )
    if not against.named:
        text.append(
            "The export states no resource ids, so no machine is found in it, whatever was billed: "
            "export with resource ids."
        )
    if against.twice:
        text.append(f"{against.twice:,} rows stand in the files twice, and were counted once.")
    if against.by_month:
        text.append(
            "The export has rows of more than a day, so machines are compared over the month: "
            "export by hour or day to see days."
        )
    text += [
        f"1 {name} is taken as {rate.usd:g} USD, the rate of {rate.as_of}."
        for name, rate in sorted(against.rates.items())
    ]
    if against.unrated:
        text.append(
            f"No rate is set for {', '.join(against.unrated)}: what is billed in it is in no sum of "
            "USD; [review.currencies.CODE] in the settings states one, with its day."
        )
    tables = [_lines(against.lines)]
    if len(against.machines):
        tables.append(_machines(against.machines))
    if len(against.namespaces):
        tables.append(_namespaces(against.namespaces))
    if len(against.apart):
        tables.append(_apart(against.apart))
    return Section("against", "Estimate against the bill", tuple(text), tuple(tables))


def total_sentence(against: AgainstBill) -> str:
    """How far estimate and bill are apart, over the lines that both know."""
    both = against.total
    if both is None:
        return f"No line is known both of the estimate and of the bill ({against.source})."
    estimate, bill = both
    share = f", {signed(bill / estimate - 1)}" if estimate else ""
    return (
        f"Of the lines that both know, the bill ({against.source}) has {written(bill, 'usd')} and the "
        f"estimate {written(estimate, 'usd')}{share}. Upfront fees are spread; credits, refunds and "
        "tax stand apart."
    )


def _lines(frame: pd.DataFrame) -> ReportTable:
    return ReportTable(
        "bill-lines", "By line, estimate and bill", _said(frame),
        (
            Column("line", "line"), Column("estimate", "estimate, USD", "usd"),
            Column("low", "low", "usd"), Column("high", "high", "usd"),
            Column("bill", "bill, USD", "usd"), Column("difference", "bill less estimate", "usd"),
            Column("cause", "likely cause"),
        ),
    )  # fmt: skip


def _machines(frame: pd.DataFrame) -> ReportTable:
    note = "The difference is what other hours make at our rate, and what the rate makes."
    if len(frame) > _SHOWN_MACHINES:
        note += f" The {_SHOWN_MACHINES} largest of {len(frame):,} machine days."
    shown = _said(frame.head(_SHOWN_MACHINES)).assign(day=lambda t: t["day"].astype(str))
    return ReportTable(
        "bill-machines", "By machine and day", shown.fillna({"node": "–", "instance_type": "–"}),
        (
            Column("day", "day"), Column("node", "node"), Column("instance_id", "instance"),
            Column("instance_type", "type"), Column("hours", "hours seen", "number"),
            Column("bill_hours", "hours billed", "number"),
            Column("estimate", "estimate, USD", "usd"), Column("bill", "bill, USD", "usd"),
            Column("difference", "bill less estimate", "usd"),
            Column("hours_usd", "of it hours", "usd"), Column("rate_usd", "of it rate", "usd"),
            Column("cause", "likely cause"),
        ),
        note=note,
    )  # fmt: skip


def _namespaces(frame: pd.DataFrame) -> ReportTable:
    return ReportTable(
        "bill-namespaces", "By namespace, ours and the bill's split", frame,
        (
            Column("namespace", "namespace"), Column("estimate", "estimate, USD", "usd"),
            Column("used", "split cost, USD", "usd"), Column("unused", "part of unused, USD", "usd"),
            Column("bill", "bill, USD", "usd"), Column("difference", "bill less estimate", "usd"),
        ),
        note="AWS splits a machine by the larger of request and use, and gives its idle room to the "
             "pods on it; here it is split by requests, and idle room is a cause of its own.",
    )  # fmt: skip


def _apart(frame: pd.DataFrame) -> ReportTable:
    amounts = [f"{amount:,.2f}" for amount in frame["amount"].astype(float)]
    shown = frame.assign(amount=["unknown" if text == "nan" else text for text in amounts])
    return ReportTable(
        "bill-apart", "In no comparison", shown,
        (
            Column("charge", "charge"), Column("of", "of"), Column("currency", "currency"),
            Column("amount", "amount in it"), Column("usd", "USD", "usd"),
        ),
        note="Credits, refunds, tax, fees, what is in a currency without a rate, and what the files "
             "hold of others: never added to an estimate.",
    )  # fmt: skip


def _said(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(cause=frame["cause"].map(CAUSES))
