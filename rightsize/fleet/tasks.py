"""What runs on a worker: one cluster and one day for collecting, one cluster for everything else.

Each task calls the function that the command for one cluster calls. An answer is an object in the
store under a key of all it comes from, so that it is found once: by whichever worker, in any run.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

import rightsize
from rightsize.border import no_room, scratch_folder
from rightsize.collectors import prometheus
from rightsize.config import Settings
from rightsize.errors import NoDataError, RightsizeError, StoreError
from rightsize.fleet.fleet_file import FleetCluster
from rightsize.fleet.stored_answers import MOST_BYTES, Kind, read_answer
from rightsize.kept import program
from rightsize.nodes.answer import answer as plan_nodes
from rightsize.nodes.autoscaler import autoscaler_in_use
from rightsize.output.advice_rows import advice_to_dict
from rightsize.output.node_plans import answer_to_dict
from rightsize.output.report.build import build_report
from rightsize.output.report.earlier import EarlierReports, earlier_reports
from rightsize.output.report.files import RESULTS, report_json, write_report
from rightsize.prices.unit_price import unit_price
from rightsize.recommend import recommend
from rightsize.results import Advice, Component, Sizes
from rightsize.review import Review, review_month
from rightsize.secrets import guarded, register_environment
from rightsize.snapshot.object_store import ObjectStore
from rightsize.snapshot.stored import StoredSnapshot, publish, whole_days
from rightsize.snapshot.views import newest_rows

_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""Of files in a ZIP, so that equal reports are equal bytes."""
_MONTH = re.compile(r"(\d{4}-\d{2})\.json")
_EARLIER = 60
"""Months of which the results are read."""
_DRAWING = threading.Lock()
"""matplotlib draws one figure at a time in a process."""


@dataclass(frozen=True)
class Failure:
    """Why a task has no result: a message for people, and the exit code of its kind."""

    reason: str
    exit_code: int


@dataclass(frozen=True)
class Site:
    """One cluster of the fleet, and the store of its snapshots."""

    store: ObjectStore
    name: str
    cluster: FleetCluster


@dataclass(frozen=True)
class DayDone:
    """What collecting a day took; `known` is False where the server had no mesh container."""

    day: date
    known: bool
    requests: int = 0
    received_bytes: int = 0


class TaskFailed(Exception):  # noqa: N818
    """A programming error, as text: its kind and what it says, without secrets."""


def attempt(version: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a task; what a user can meet becomes a `Failure`, and any other error is Dask's to repeat."""
    register_environment()
    # A worker is one of many processes already: joblib starts none below it.
    os.environ["LOKY_MAX_CPU_COUNT"] = "1"
    if version != rightsize.__version__:
        return Failure(f"the worker has rightsize {rightsize.__version__}, this is {version}", 51)
    try:
        return function(*arguments)
    except RightsizeError as error:
        return Failure(str(error), error.exit_code)
    except Exception as error:
        full = no_room(error) if isinstance(error, OSError) else None
        if full is not None:
            return Failure(str(full), full.exit_code)
        # Where it is shown and logged, this process's secrets (of files) are not known.
        said = guarded(f"{type(error).__name__}: {error}")
        raise TaskFailed(said).with_traceback(error.__traceback__) from None


def missing_days(site: Site, wanted: Sequence[date]) -> list[date]:
    """Days that are not in the store as a whole, the newest first."""
    return sorted(set(wanted) - whole_days(site.store, site.name, wanted), reverse=True)


def collect_day(site: Site, day: date, in_flight: Mapping[str, int]) -> DayDone:
    """Collect a day into a folder of its own, and put it into the store.

    `in_flight` has the requests at once that each budget allows, over all workers.
    """
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    with scratch_folder() as scratch:
        try:
            found = prometheus.collect(
                site.cluster.prometheus,
                out=scratch / "day",
                start=start,
                end=start + timedelta(days=1),
                cluster=site.name,
                objects=site.cluster.objects,
                permits=[_permit(name, in_flight[name]) for name in site.cluster.budgets],
            )
        except NoDataError:
            return DayDone(day, known=False)
        for one in found.fetched:
            publish(site.store, site.name, found.path, one, region=site.cluster.region)
    return DayDone(day, True, found.requests, found.received_bytes)


def recommend_cluster(
    site: Site, settings: Settings, given: Mapping[Component, Sizes], wanted: Sequence[date]
) -> dict[str, Any]:
    """Sizes of one cluster, as the JSON of `rightsize recommend` with what a core and a byte cost."""
    snapshot = _opened(site, wanted)

    def made() -> dict[str, Any]:
        advice = recommend(snapshot, settings, given=given)
        return _plain(_facts(site, snapshot, advice) | {"advice": advice_to_dict(advice)})

    known = {name: asdict(sizes) for name, sizes in given.items()}
    return _once(site, "recommend", snapshot, [_terms(settings), known], made)


def nodes_cluster(site: Site, settings: Settings, wanted: Sequence[date]) -> dict[str, Any]:
    """Node plans of one cluster, as the JSON of `rightsize nodes`."""
    snapshot = _opened(site, wanted)

    def made() -> dict[str, Any]:
        advice = recommend(snapshot, settings)
        kind = autoscaler_in_use(newest_rows(snapshot, "nodes"))
        for scaler in (kind, None):
            try:
                found = plan_nodes(
                    snapshot, settings.nodes, advice=advice, prices=settings.prices,
                    autoscaler=scaler, region=snapshot.manifest.region,
                )  # fmt: skip
                break
            except NoDataError:
                # A month that the snapshot cannot replay is left out.
                if scaler is None:
                    raise
        hours = settings.prices.hours_per_month
        return _plain(_facts(site, snapshot, advice) | {"nodes": answer_to_dict(found, hours)})

    return _once(site, "nodes", snapshot, [_terms(settings)], made)


def report_cluster(site: Site, settings: Settings, month: str) -> dict[str, Any]:
    """A month's review of one cluster: its figures, and under `pages` the ZIP with its own page."""
    first = date.fromisoformat(f"{month}-01")
    before = (first - timedelta(days=1)).replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    snapshot = StoredSnapshot(site.store, site.name, wanted=lambda day: before <= day < after)
    earlier = _earlier(site, month)

    def made() -> dict[str, Any]:
        review = review_month(
            snapshot, month, settings, earlier=earlier.promises, results=earlier.results
        )
        with _DRAWING:
            report = build_report(review, settings)
            pages = _zipped(lambda folder: write_report(report, folder))
        results = report_json(report)
        site.store.put(f"{site.name}/reports/{month}.json", results.encode())
        name = f"{site.name}/answers/report.{hashlib.sha256(pages).hexdigest()}.zip"
        site.store.create(name, pages)
        facts = _facts(site, snapshot, review.advice) | _reviewed(review)
        return _plain(facts | {"pages": name, "report": orjson.loads(results)})

    if settings.review.bill is not None:
        return made()  # The bill may be another one every time.
    known = [_terms(settings), month, earlier.promises, earlier.results]
    return _once(site, "report", snapshot, known, made)


def _terms(settings: Settings) -> list[Any]:
    """The settings, with what the file that they name holds."""
    costs = settings.prices.other_costs_file
    there = costs is not None and costs.is_file()
    content = hashlib.sha256(costs.read_bytes()).hexdigest() if costs and there else None
    return [settings.model_dump(mode="json"), content]


def _permit(budget: str, most: int) -> Callable[[], AbstractContextManager[object]]:
    """A lease on one of the requests that a budget allows; a worker's death gives it back."""
    from distributed import Semaphore

    leases: AbstractContextManager[object] = Semaphore(
        max_leases=most, name=f"rightsize {budget} {most}"
    )
    return lambda: leases


def _opened(site: Site, wanted: Sequence[date]) -> StoredSnapshot:
    return StoredSnapshot(site.store, site.name, wanted=set(wanted).__contains__)


def _once(
    site: Site,
    kind: Kind,
    snapshot: StoredSnapshot,
    known: Sequence[Any],
    made: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """The answer from the store, where one of the same days and settings is there; else a new one.

    What is there and no answer is made again.
    """
    about = [program(), snapshot.packs, site.cluster.team, site.cluster.region, *known]
    key = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()
    path = f"{site.name}/answers/{kind}.{key}.json"
    try:
        found = read_answer(site.store.read(path, most=MOST_BYTES), kind, site.name)
    except (FileNotFoundError, ValueError):
        found = made()
        with contextlib.suppress(StoreError):  # Then it is made again the next time.
            site.store.put(path, orjson.dumps(found))
    return found


def _plain(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same as it comes back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def _facts(site: Site, snapshot: StoredSnapshot, advice: Advice) -> dict[str, Any]:
    """What every answer says of its cluster."""
    price = unit_price(snapshot.manifest.region)
    return {
        "cluster": site.name,
        "team": site.cluster.team,
        "region": snapshot.manifest.region,
        "simulated": snapshot.manifest.simulated,
        "days": len(snapshot.days),
        "newest": snapshot.manifest.end.isoformat(),
        "usd_per_core_hour": price.price.usd_per_core_hour,
        "usd_per_byte_hour": price.price.usd_per_byte_hour,
        "istiods": list(advice.istiods),
        "shared": [_shared_row(row) for row in advice_to_dict(advice)["recommendations"]
                   if row["workload"] is None or (row["written"] == "values" and row["running"])],
    }  # fmt: skip


def _shared_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A size that stands in a values file: the mesh default, istiod, a gateway."""
    names = ("component", "namespace", "workload", "kind", "replicas", "changes")
    sizes = ("request", "limit", "recommended_request", "recommended_limit")
    return {name: row[name] for name in names} | {
        f"{resource}_{size}": row[resource][size]
        for resource in ("cpu", "memory")
        for size in sizes
    }


def _reviewed(review: Review) -> dict[str, Any]:
    """Figures of the month that a fleet's page compares."""
    windows = float(review.risk["windows"].sum())
    above = float(review.risk["cpu_above_recommended"].sum())
    kills = [row.evidence.oom_kills for row in review.advice.recommendations if row.evidence]
    known = [count for count in kills if count is not None]
    return {
        "month": review.month.label,
        "month_days": len(review.month.days),
        "workloads": review.workloads,
        "risk": above / windows if windows else None,
        "oom_kills": sum(known) if len(known) == len(kills) else None,
        "missing": len(review.quality),
    }


def _earlier(site: Site, month: str) -> EarlierReports:
    """Reports of earlier months, as they are read from folders."""
    with scratch_folder() as scratch:
        known = (_MONTH.fullmatch(name) for name in site.store.sizes(f"{site.name}/reports"))
        labels = sorted(found[1] for found in known if found and found[1] < month)
        for label in labels[-_EARLIER:]:
            folder = scratch / label
            folder.mkdir()
            content = site.store.read(f"{site.name}/reports/{label}.json", most=MOST_BYTES)
            (folder / RESULTS).write_bytes(content)
        return earlier_reports(scratch, site.name, month)


def _zipped(write: Callable[[Path], Sequence[Path]]) -> bytes:
    packed = io.BytesIO()
    with scratch_folder() as scratch:
        files = write(scratch)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
            for path in sorted(files):
                about = zipfile.ZipInfo(path.relative_to(scratch).as_posix(), _FIRST_DATE)
                out.writestr(about, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()
