"""The fleet's page: clusters by dollars, what they have in common, what is risky, what is missing.

It is a report like that of one cluster, so it comes as page, workbook, Markdown, CSV and JSON; its
tables as Parquet, too. The pages of the clusters lie beside it.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from rightsize.border import path_part, printable, write_files
from rightsize.errors import RightsizeError, StoreError
from rightsize.fleet.analysing import ClusterAnswer
from rightsize.fleet.collecting import age_in_days
from rightsize.fleet.shared_files import SharedFiles
from rightsize.fleet.tables import sizes_text
from rightsize.output.charts.fleet import clusters_chart
from rightsize.output.report import write_report
from rightsize.output.report.model import (
    Action,
    Column,
    Figure,
    Kind,
    Report,
    ReportChart,
    ReportTable,
    Section,
    methods,
    written,
)
from rightsize.results import Interval
from rightsize.secrets import excerpt
from rightsize.snapshot.object_store import ObjectStore

_OLD_DAYS = 2.5
"""Age of data from which a cluster is at risk of being judged by what is past."""
_RISKY_SHARE = 0.01
_MOST_ACTIONS = 5
_LARGEST_PAGES = 256 * 2**20
"""Bytes of one cluster's unpacked pages."""
_MOST_PAGES = 1000
_PAGE = re.compile(r"([a-z0-9][a-z0-9._-]*/)*[a-z0-9][a-z0-9._-]*", re.IGNORECASE)
"""Names that a report gives its files."""


def keeping(store: ObjectStore, out: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Unpack a cluster's pages below `out`, and keep of its answer what the fleet's page needs."""

    def keep(found: dict[str, Any]) -> dict[str, Any]:
        unpack_pages(store, found["pages"], out / path_part(found["cluster"]))
        report = found.pop("report")
        found["figures"] = {one["label"]: one["value"] for one in report["figures"]}
        facts = report["facts"]
        return found | {name: facts.get(name) for name in ("bill_usd", "mesh_usd", "nodes")}

    return keep


def unpack_pages(store: ObjectStore, name: str, folder: Path) -> None:
    """Write the files of a ZIP in the store below a folder.

    Raises
    ------
    StoreError
        If it is none, or unpacks to more than pages can take.
    OutputError
        If a file cannot be written.
    """
    try:
        files = dict(_unpacked(store.read(name)))
    except RightsizeError:
        raise
    except Exception as error:  # zipfile raises whatever its bytes lead it to.
        raise StoreError(
            f"{store.url}/{name}: cannot be unpacked ({excerpt(printable(error), 200)})",
            hint="remove it and the report's answers from the store: they are made again",
        ) from error
    write_files(folder, files)


def _unpacked(packed: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(packed)) as pages:
        about = pages.infolist()
        if len(about) > _MOST_PAGES or sum(one.file_size for one in about) > _LARGEST_PAGES:
            raise zipfile.BadZipFile("too large")
        for one in about:
            if not _PAGE.fullmatch(one.filename):
                raise zipfile.BadZipFile(f"a file {one.filename}")
            yield one.filename, pages.read(one)


def fleet_report(
    answers: Sequence[ClusterAnswer],
    shared: Sequence[SharedFiles],
    month: str,
    now: datetime,
    hours: float,
) -> Report:
    """The page of a month, of the answers of `report_fleet` as `keeping` leaves them."""
    clusters = _clusters(answers, now)
    common = _common(answers, hours)
    known = clusters[clusters["reason"] == ""]
    failed = clusters[clusters["reason"] != ""]
    simulated = any(a.found is not None and a.found["simulated"] for a in answers)
    return Report(
        title=f"Fleet cost review, {month}",
        subtitle=f"{len(known)} of {len(clusters)} clusters, "
        f"{_count(clusters['team'].nunique(), 'team')}; data up to {_newest(answers)}",
        banner=" ".join([
            *(["Simulated: at least one cluster is synthetic."] if simulated else []),
            *([f"{_count(len(failed), 'cluster')} without an answer: the last table says why."]
              if len(failed) else []),
        ]),
        figures=_figures(known, len(clusters)),
        actions=tuple(_actions(known, common)),
        sections=tuple(_sections(clusters, known, failed, common, shared)),
        methods=methods("fleet"),
        assumptions=(),
        facts={"month": month, "cluster": "fleet", "clusters": len(clusters),
               "failed": sorted(failed["cluster"])},
    )  # fmt: skip


def write_fleet_report(report: Report, out: Path) -> list[Path]:
    """Write the page in every form of a report, and each table as Parquet."""
    tables = {}
    for table in report.tables:
        packed = io.BytesIO()
        table.frame[[column.name for column in table.columns]].to_parquet(packed, index=False)
        tables[f"tables/{table.name}.parquet"] = packed.getvalue()
    return write_report(report, out, tables)


def _clusters(answers: Sequence[ClusterAnswer], now: datetime) -> pd.DataFrame:
    rows = [_cluster_row(answer, now) for answer in answers]
    frame = pd.DataFrame(rows)
    figures = [name for name in frame.columns if name not in _TEXTS]
    frame[figures] = frame[figures].astype(float)
    money = [name for name in figures if name.endswith("_usd")]
    # Whole cents, so that sums are those of what is read.
    frame[money] = frame[money].round(2)
    return frame.sort_values(["bill_usd", "cluster"], ascending=[False, True], ignore_index=True)


_TEXTS = ("cluster", "team", "region", "page", "reason")


def _cluster_row(answer: ClusterAnswer, now: datetime) -> dict[str, Any]:
    found: Mapping[str, Any] = answer.found or {}
    figures = found.get("figures", {})
    available, realised = figures.get("Saving available"), figures.get("Saving realised")
    bill, mesh = found.get("bill_usd"), found.get("mesh_usd")
    bill = bill["mid"] if isinstance(bill, dict) else bill
    nodes = found.get("nodes") or {}
    return {
        "cluster": answer.cluster,
        "team": answer.team,
        "region": found.get("region") or "",
        "bill_usd": bill,
        "mesh_usd": mesh,
        "mesh_share": figures.get("Share of the cluster's bill"),
        "available_usd": available["mid"] if available else None,
        "available_low_usd": available["low"] if available else None,
        "available_high_usd": available["high"] if available else None,
        "realised_usd": realised["mid"] if realised else None,
        "nodes": nodes.get("today"),
        "workloads": found.get("workloads"),
        "risk": found.get("risk"),
        "oom_kills": found.get("oom_kills"),
        "age_days": age_in_days(found.get("newest"), now),
        "month_days": found.get("month_days"),
        "missing": found.get("missing"),
        "page": f"{path_part(answer.cluster)}/index.html" if answer.found else "",
        "reason": (answer.reason or "").replace("\n  ", " "),
    }


def _common(answers: Sequence[ClusterAnswer], hours: float) -> pd.DataFrame:
    """Each size in values files that runs today, with how many clusters should have another."""
    rows = []
    for answer in answers:
        for row in (answer.found or {}).get("shared", ()):
            name = "sidecar default" if row["workload"] is None else row["component"]
            for resource, price in (("cpu", "usd_per_core_hour"), ("memory", "usd_per_byte_hour")):
                now = row[f"{resource}_request"]
                then = row[f"{resource}_recommended_request"]
                if now is None:
                    continue
                then = now if then is None else then
                usd = (then - now) * row["replicas"] * (answer.found or {})[price] * hours
                rows.append((name, resource, float(now), float(then), answer.cluster, usd))
    names = ["component", "resource", "now", "then", "cluster", "usd"]
    found = pd.DataFrame(rows, columns=names)
    # One cluster counts once, by its lowest need of several gateways' highest.
    grouped = found.groupby(["component", "resource", "now", "cluster"], as_index=False).agg(
        then=("then", "max"), usd=("usd", "sum")
    )
    common = grouped.assign(
        lower=grouped["then"] < grouped["now"] * (1 - 1e-9),
        higher=grouped["then"] > grouped["now"] * (1 + 1e-9),
    ).groupby(["component", "resource", "now"], as_index=False).agg(
        clusters=("cluster", "nunique"), too_high=("lower", "sum"), too_low=("higher", "sum"),
        least=("then", "min"), most=("then", "max"), usd=("usd", "sum"),
    )  # fmt: skip
    common["says"] = [_says(row) for row in common.to_dict("records")]
    return common.sort_values("usd", ignore_index=True)


def _says(row: Mapping[Any, Any]) -> str:
    """`sidecar default cpu 100m is too high in 41 of 50 clusters`."""
    kind: Kind = "cpu" if row["resource"] == "cpu" else "memory"
    size = f"{row['component']} {row['resource']} {written(row['now'], kind)}"
    parts = []
    for count, what in ((row["too_high"], "too high"), (row["too_low"], "too low")):
        if count:
            parts.append(f"{what} in {count} of {row['clusters']} clusters")
    least, most = (written(row[name], kind) for name in ("least", "most"))
    spread = least if least == most else f"{least} to {most}"
    if not parts:
        return f"{size} is right in {row['clusters']} clusters"
    return f"{size} is {' and '.join(parts)}: {spread}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _total(values: pd.Series) -> float | None:
    return None if values.isna().all() else float(values.sum())


def _figures(known: pd.DataFrame, clusters: int) -> tuple[Figure, ...]:
    bill, mesh = _total(known["bill_usd"]), _total(known["mesh_usd"])
    both = known.dropna(subset=["bill_usd", "mesh_usd"])
    share = both["mesh_usd"].sum() / both["bill_usd"].sum() if both["bill_usd"].sum() else None
    ends = [_total(known[f"available{end}_usd"]) for end in ("_low", "", "_high")]
    available = Interval(*(one or 0.0 for one in ends)) if ends[1] is not None else None

    def of(column: str) -> str:
        return f"known of {known[column].notna().sum()} of {clusters} clusters"

    return (
        Figure("Bill", bill, "usd", of("bill_usd"), "clusters", "bill"),
        Figure("Mesh cost", mesh, "usd",
               "share unknown" if share is None else f"{written(share, 'percent')} of the bill",
               "clusters", "bill"),
        Figure("Saving available", available, "usd", f"a month; {of('available_usd')}",
               "clusters", "saving"),
        Figure("Saving realised", _total(known["realised_usd"]), "usd", of("realised_usd"),
               "clusters", "saving"),
        Figure("Clusters at risk", float(len(_risky(known))), "number", f"of {len(known)}",
               "risk", "risk"),
    )  # fmt: skip


def _actions(known: pd.DataFrame, common: pd.DataFrame) -> Iterable[Action]:
    """The clusters that bring most, after the size that most of them have in common."""
    for row in common.to_dict("records")[:1]:
        if row["clusters"] > 1 and row["too_high"]:
            yield Action(
                str(row["says"]), None, "one file, if they share it", "low: the highest need counts",
                "rightsize fleet recommend -o patched", "platform",
            )  # fmt: skip
    best = known[known["available_usd"] > 0].sort_values("available_usd", ascending=False)
    for row in best.to_dict("records")[: _MOST_ACTIONS - 1]:
        usd = Interval(row["available_low_usd"], row["available_usd"], row["available_high_usd"])
        risk = "unknown" if math.isnan(row["risk"]) else written(row["risk"], "percent")
        yield Action(
            f"{row['cluster']}: apply this step's requests", usd, "a rollout",
            f"{risk} of windows above the CPU request", f"its own page: {row['page']}",
            row["team"] or "no team",
        )  # fmt: skip


def _risky(known: pd.DataFrame) -> pd.DataFrame:
    risky = (
        (known["oom_kills"] > 0) | (known["risk"] > _RISKY_SHARE) | (known["age_days"] > _OLD_DAYS)
    )
    return known[risky].sort_values(["oom_kills", "risk"], ascending=False, ignore_index=True)


def _sections(
    clusters: pd.DataFrame,
    known: pd.DataFrame,
    failed: pd.DataFrame,
    common: pd.DataFrame,
    shared: Sequence[SharedFiles],
) -> Iterable[Section]:
    charts = []
    if known["bill_usd"].notna().any():
        axes = clusters_chart(known)
        charts.append(ReportChart("clusters", axes, "Mesh cost and saving available by cluster"))
    name = Column("cluster", "cluster", link="page")
    team = Column("team", "team", choose=True)
    yield Section("clusters", "Clusters by dollars", (), (_table(
        "clusters", "Clusters, the dearest first", clusters, name, team,
        Column("region", "region"),
        Column("bill_usd", "bill", "usd", total=True),
        Column("mesh_usd", "mesh", "usd", total=True),
        Column("mesh_share", "mesh share", "percent"),
        Column("available_usd", "saving available", "usd", total=True),
        Column("available_low_usd", "at least", "usd"),
        Column("available_high_usd", "at most", "usd"),
        Column("realised_usd", "saving realised", "usd", total=True),
        Column("nodes", "nodes", "number"),
        Column("workloads", "workloads", "number"),
        Column("age_days", "age of data, days", "number"),
        Column("month_days", "days of the month", "number"),
    ), _teams(known)), tuple(charts))  # fmt: skip
    yield Section("common", "The same size across clusters", tuple(
        row for row, changing in zip(common["says"], common["too_high"] + common["too_low"],
                                     strict=True) if changing
    )[:6], (_table(
        "common", "Sizes of values files by what runs today", common,
        Column("says", "finding"),
        Column("clusters", "clusters", "number"),
        Column("too_high", "too high in", "number"),
        Column("too_low", "too low in", "number"),
        Column("usd", "USD a month", "usd", total=True),
    ), *_shared_tables(shared)))  # fmt: skip
    yield Section("risk", "What is risky", (), (_table(
        "risk", "Clusters at risk", _risky(known), name, team,
        Column("oom_kills", "OOM kills", "number"),
        Column("risk", "windows above the CPU request", "percent"),
        Column("age_days", "age of data, days", "number"),
        Column("missing", "lines of what is missing", "number"),
    ),))  # fmt: skip
    yield Section("failed", "Clusters without an answer", (), (_table(
        "failed", "Why there is none", failed, Column("cluster", "cluster"), team,
        Column("reason", "reason"),
    ),))  # fmt: skip


def _table(name: str, title: str, frame: pd.DataFrame, *columns: Column) -> ReportTable:
    return ReportTable(name, title, frame.reset_index(drop=True), columns, known_lines=True)


def _teams(known: pd.DataFrame) -> ReportTable:
    sums = ["bill_usd", "mesh_usd", "available_usd", "realised_usd"]
    found = known.groupby("team", as_index=False)[sums].sum(min_count=1)
    found["clusters"] = found["team"].map(known["team"].value_counts()).astype(float)
    found["team"] = found["team"].replace("", "no team")
    return _table(
        "teams", "Teams", found.sort_values("bill_usd", ascending=False),
        Column("team", "team"), Column("clusters", "clusters", "number"),
        Column("bill_usd", "bill", "usd", total=True),
        Column("mesh_usd", "mesh", "usd", total=True),
        Column("available_usd", "saving available", "usd", total=True),
        Column("realised_usd", "saving realised", "usd", total=True),
    )  # fmt: skip


def _shared_tables(shared: Sequence[SharedFiles]) -> list[ReportTable]:
    rows = [
        {
            "files": ", ".join(path.name for path in one.files),
            "size": f"{size.change.component} {size.change.key}",
            "cluster": cluster,
            "now": sizes_text(size.change.running),
            "alone": sizes_text(size.own[cluster]),
            "suits_all": sizes_text(size.change.sizes),
            "usd": usd,
        }
        for one in shared
        for size in one.sizes
        for cluster, usd in size.usd_per_month.items()
    ]
    if not rows:
        return []
    columns = (
        Column("files", "values files"), Column("size", "size"), Column("cluster", "cluster"),
        Column("now", "now"), Column("alone", "alone it should have"),
        Column("suits_all", "suits all"), Column("usd", "costs it a month", "usd", total=True),
    )  # fmt: skip
    return [_table("shared", "Values files that clusters share", pd.DataFrame(rows), *columns)]


def _newest(answers: Sequence[ClusterAnswer]) -> str:
    moments = [answer.found["newest"] for answer in answers if answer.found is not None]
    return max(moments, default="unknown")[:16].replace("T", " ")
