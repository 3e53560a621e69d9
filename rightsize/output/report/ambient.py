"""The chapter on ambient mode, where it is asked for."""

from __future__ import annotations

import pandas as pd

from rightsize.ambient.answer import AmbientAnswer, AmbientCosts, costs_frame
from rightsize.output.report.model import Column, ReportTable, Section

_TITLE = "Sidecars or ambient mode"
_COLUMNS = (
    Column("namespace", "namespace"),
    Column("sidecars", "sidecars", "number"),
    Column("requests_per_second", "requests/s, busy hour", "number"),
    Column("waypoint", "waypoint for"),
    Column("obstacles", "obstacles", "number"),
    Column("sidecar_cpu", "CPU of sidecars, end state", "cpu"),
    Column("sidecar_memory", "memory of sidecars, end state", "memory"),
    Column("ambient_cpu", "CPU in ambient mode", "cpu"),
    Column("ambient_memory", "memory in ambient mode", "memory"),
    Column("usd_saved_low", "worth saved, low", "usd"),
    Column("usd_saved", "worth saved", "usd"),
    Column("usd_saved_high", "worth saved, high", "usd"),
)


def ambient_section(answer: AmbientAnswer) -> Section:
    """What ambient mode would do for each namespace, and the waves of an order."""
    study, costs = answer.study, answer.costs
    if costs is None:
        said = ("No sidecar was seen on the last day: rightsize ambient shows what runs.",)
        return Section("ambient", _TITLE, said)
    tables = [
        ReportTable(
            "ambient-namespaces", "By namespace", costs_frame(answer), _COLUMNS,
            "A month's worth of requests at the price of a core and a byte; it ranks, and is no bill.",
        ),
        _waves(costs),
    ]  # fmt: skip
    if study.obstacles:
        frame = pd.DataFrame(
            {
                "namespace": [one.namespace or "whole mesh" for one in study.obstacles],
                "what": [one.feature.title for one in study.obstacles],
                "object": [one.subject for one in study.obstacles],
                "instead": [one.feature.instead for one in study.obstacles],
            }
        )
        columns = tuple(Column(name, name) for name in frame.columns)
        tables.append(ReportTable("ambient-obstacles", "What stands in the way", frame, columns))
    notes = (*(figure.text for figure in costs.figures.values()), *costs.notes, *study.notes)
    paragraphs = tuple(f"{note[:1].upper()}{note[1:]}." for note in notes)
    return Section("ambient", _TITLE, (_lead(answer, costs), *paragraphs), tuple(tables))


def _lead(answer: AmbientAnswer, costs: AmbientCosts) -> str:
    """How many namespaces can go, for how much, and which stay."""
    names = [one.namespace for one in answer.study.needs]
    stay = [name for name in names if answer.study.stopped(name)]
    said = f"{len(names) - len(stay)} of {len(names)} namespaces can go to ambient mode"
    usd = None if costs.together is None else costs.together.usd
    if usd is not None:
        said += (
            f": {usd.mid:,.0f} USD of nodes a month saved ({usd.low:,.0f} to {usd.high:,.0f}) "
            "against right-sized sidecars"
        )
    return f"{said}. On sidecars: {', '.join(stay)}." if stay else f"{said}."


def _waves(costs: AmbientCosts) -> ReportTable:
    rows = []
    for wave in costs.waves:
        row: dict[str, object] = {"wave": wave.number, "namespaces": ", ".join(wave.namespaces)}
        if wave.saving is not None:
            nodes, usd = wave.saving.nodes, wave.saving.usd
            row |= {"nodes_low": nodes.low, "nodes": nodes.mid, "nodes_high": nodes.high}
            row |= {} if usd is None else {"low": usd.low, "usd": usd.mid, "high": usd.high}
        rows.append(row)
    columns = (
        Column("wave", "wave", "number"),
        Column("namespaces", "namespaces"),
        Column("nodes_low", "nodes saved so far, low", "number"),
        Column("nodes", "nodes saved so far", "number"),
        Column("nodes_high", "nodes saved so far, high", "number"),
        Column("low", "a month so far, low", "usd"),
        Column("usd", "a month so far", "usd"),
        Column("high", "a month so far, high", "usd"),
    )
    frame = pd.DataFrame(rows, columns=[column.name for column in columns])
    note = "Against right-sized sidecars, by plans of nodes on the types in use, not replayed."
    return ReportTable("ambient-waves", "An order", frame, columns, note)
