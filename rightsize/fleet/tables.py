"""Answers of a fleet for people and for programs: a row for each cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rightsize.fleet.analysing import ClusterAnswer
from rightsize.fleet.collecting import CollectedCluster
from rightsize.fleet.shared_files import SharedFiles, SharedSize
from rightsize.output.report.model import written
from rightsize.output.tables import Answer, Column, Table
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Sizes

SCHEMA_VERSION = 1


def collected_answer(rows: Sequence[CollectedCluster]) -> Answer:
    """What collecting did."""
    names = (
        "cluster", "team", "wanted", "there", "fetched", "empty", "missing", "requests",
        "received_bytes", "newest", "reason", "exit_code",
    )  # fmt: skip
    records = [{name: getattr(row, name) for name in names} for row in rows]
    columns = [
        _text("cluster", whole=True), _text("team"), _count("there"), _count("fetched"),
        _count("empty"), _count("missing"), _count("requests"),
        Column("received", _of("received_bytes"), lambda v: f"{v / 1e6:.1f}", "MB", figure=True),
        _text("newest", whole=True), _text("reason", lines=True),
    ]  # fmt: skip
    return _answer("Days collected", records, columns)


def sizes_answer(
    answers: Sequence[ClusterAnswer], shared: Sequence[SharedFiles], hours: float
) -> Answer:
    """Sizes of every cluster, and those of shared files."""
    records = [_sizes_row(answer, hours) for answer in answers]
    columns = [
        _text("cluster", whole=True), _text("team"), _count("days"), _count("containers"),
        _count("changes"), _usd("usd_per_month", "worth"), _text("sidecar_default"),
        _text("reason", lines=True),
    ]  # fmt: skip
    parts = [Table("Sizes", columns, records), *(_shared_table(one) for one in shared)]
    return Answer(
        document=lambda: {
            "schema_version": SCHEMA_VERSION,
            "clusters": [
                record | {"advice": None if a.found is None else a.found["advice"]}
                for record, a in zip(records, answers, strict=True)
            ],
            "shared_files": [_shared_document(one) for one in shared],
        },
        parts=lambda: parts,
        rows=lambda: pd.DataFrame(records).convert_dtypes(),
        remarks=[
            "worth: what the requests change by at the price of a core and a byte; a saving only "
            "where nodes go (rightsize fleet nodes)"
        ],
    )


def nodes_answer(answers: Sequence[ClusterAnswer]) -> Answer:
    """Nodes of every cluster."""
    records = [_nodes_row(answer) for answer in answers]
    columns = [
        _text("cluster", whole=True), _text("team"), _count("nodes_today"),
        _count("nodes_planned"), _count("nodes_freed"), _usd("usd_today", "today"),
        _usd("usd_planned", "planned"), _text("with_setting"), _text("reason", lines=True),
    ]  # fmt: skip
    answer = _answer("Nodes", records, columns)
    return Answer(
        document=lambda: {
            "schema_version": SCHEMA_VERSION,
            "clusters": [
                record | {"nodes": None if a.found is None else a.found["nodes"]}
                for record, a in zip(records, answers, strict=True)
            ],
        },
        parts=answer.parts,
        rows=answer.rows,
    )


def sizes_text(sizes: Sizes | None) -> str:
    """Requests as `35m / 96Mi`, unknown where there are none."""
    if sizes is None or (sizes.cpu_request is None and sizes.memory_request is None):
        return ""
    cpu = "unset" if sizes.cpu_request is None else format_cpu(sizes.cpu_request)
    memory = "unset" if sizes.memory_request is None else format_memory(sizes.memory_request)
    return f"{cpu} / {memory}"


def worth(found: Mapping[str, Any], hours: float) -> float | None:
    """USD a month that the requests of an answer rise by at the price of a core and a byte."""
    if "advice" not in found:
        return None
    usd = 0.0
    for row in found["advice"]["recommendations"]:
        if row["workload"] is None or not row["running"]:
            continue
        for size, price in (("cpu", "usd_per_core_hour"), ("memory", "usd_per_byte_hour")):
            now, then = row[size]["request"], row[size]["recommended_request"]
            if now is not None and then is not None:
                usd += row["replicas"] * (then - now) * found[price]
    return usd * hours


def _sizes_row(answer: ClusterAnswer, hours: float) -> dict[str, Any]:
    found = answer.found
    default = None
    if found is not None:
        rows = [row for row in found["shared"] if row["workload"] is None]
        default = next(iter(rows), None)
    rows = [] if found is None else found["advice"]["recommendations"]
    return {
        "cluster": answer.cluster,
        "team": answer.team,
        "days": None if found is None else found["days"],
        "newest": None if found is None else found["newest"],
        "containers": None if found is None else len(rows),
        "changes": None if found is None else sum(row["changes"] for row in rows),
        "usd_per_month": None if found is None else worth(found, hours),
        "sidecar_default": "" if default is None else _from_to(default),
        "reason": answer.reason,
        "exit_code": answer.exit_code,
    }


def _from_to(row: Mapping[str, Any]) -> str:
    now = sizes_text(Sizes(row["cpu_request"], None, row["memory_request"], None))
    then = Sizes(row["cpu_recommended_request"], None, row["memory_recommended_request"], None)
    return f"{now or 'unknown'} → {sizes_text(then) or 'as it is'}" if row["changes"] else now


def _nodes_row(answer: ClusterAnswer) -> dict[str, Any]:
    row: dict[str, Any] = {
        "cluster": answer.cluster, "team": answer.team, "nodes_today": None,
        "nodes_planned": None, "nodes_freed": None, "usd_today": None, "usd_planned": None,
        "with_setting": "", "reason": answer.reason, "exit_code": answer.exit_code,
    }  # fmt: skip
    if answer.found is None:
        return row
    found = answer.found["nodes"]
    row |= {"nodes_today": found["today"]["nodes"], "usd_today": found["today"]["usd_per_month"]}
    promised = next(
        (p["promised"] for p in found["plans_recommended"] or () if p["name"] == "same-type"), None
    )
    if promised is not None:
        row |= {"nodes_planned": promised["nodes"], "usd_planned": promised["usd_per_month"]}
    if found["expected"] is not None:
        row |= {"nodes_freed": found["expected"]["freed"]}
        row |= {"with_setting": found["expected"]["with_setting"]}
    return row


def _shared_table(one: SharedFiles) -> Table:
    names = ", ".join(path.name for path in one.files)
    title = f"{names}: shared by {', '.join(one.clusters)}"
    if one.unknown:
        title += f"; nothing is changed without an answer of {', '.join(one.unknown)}"
    columns = [
        Column("size", lambda size: f"{size.change.component} {size.change.key}"),
        Column("now", lambda size: sizes_text(size.change.running)),
        Column("suits all", lambda size: sizes_text(size.change.sizes)),
        Column("costs", lambda size: size.usd, lambda v: written(v, "usd"), "a month", figure=True),
        Column("more than alone", _costs),
    ]
    return Table(title, columns, one.sizes)


def _costs(size: SharedSize) -> str:
    dear = sorted(size.usd_per_month.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {written(usd, 'usd')}" for name, usd in dear if usd >= 0.005)


def _shared_document(one: SharedFiles) -> dict[str, Any]:
    return {
        "files": [str(path) for path in one.files],
        "clusters": list(one.clusters),
        "without_answer": list(one.unknown),
        "sizes": [
            {
                "component": size.change.component,
                "namespace": size.change.namespace,
                "workload": size.change.workload,
                "suits_all": _plain(size.change.sizes),
                "alone": {name: _plain(sizes) for name, sizes in size.own.items()},
                "usd_per_month": dict(size.usd_per_month),
            }
            for size in one.sizes
        ],
    }


def _plain(sizes: Sizes) -> dict[str, float | None]:
    return {
        "cpu_request": sizes.cpu_request,
        "cpu_limit": sizes.cpu_limit,
        "memory_request": sizes.memory_request,
        "memory_limit": sizes.memory_limit,
    }


def _answer(title: str, records: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Answer:
    return Answer(
        document=lambda: {"schema_version": SCHEMA_VERSION, "clusters": list(records)},
        parts=lambda: [Table(title, columns, records)],
        rows=lambda: pd.DataFrame(records).convert_dtypes(),
    )


def _of(name: str) -> Any:
    return lambda row: row[name]


def _text(name: str, *, whole: bool = False, lines: bool = False) -> Column:
    def text(value: object) -> str:
        found = "" if value is None else str(value)
        return found.replace("\n  ", " ") if lines else found

    return Column(name.replace("_", " "), _of(name), text, whole=whole)


def _count(name: str) -> Column:
    text = "" if name == "reason" else "unknown"
    return Column(
        name.replace("_", " "), _of(name), lambda v: text if v is None else f"{v:,}", figure=True
    )


def _usd(name: str, label: str) -> Column:
    return Column(label, _of(name), lambda v: written(v, "usd"), "a month", figure=True)
