"""What makes the proxies of a snapshot big."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rightsize.ambient.own_proxies import proxy_usage, sidecar_law
from rightsize.ambient.rates import BUSY, Rates, read_rates
from rightsize.config import Settings
from rightsize.cost.logs import GIGABYTE, access_log
from rightsize.cost.other import other_costs
from rightsize.errors import NoDataError
from rightsize.namespaces.proxy_cpu import ProxyCpuLaw
from rightsize.prices.unit_price import UnitPrice, unit_price
from rightsize.proxies.levers import (
    Lever,
    clusters_lever,
    connections_levers,
    request_levers,
    scrape_lever,
    statistics_lever,
    threads_lever,
)
from rightsize.proxies.memory import COLUMNS, MemoryLaw, fit_memory
from rightsize.results import Interval
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import plain_text

_DAYS = 7
_KEY = ["namespace", "pod"]


@dataclass(frozen=True, eq=False)
class ProxyStudy:
    """Levers over all sidecars of the last day, with the laws they rest on."""

    sidecars: int
    memory: float
    """p95 of the 5-minute windows of each, bytes in all."""
    requested: float
    """Bytes requested in all."""
    levers: tuple[Lever, ...]
    memory_law: MemoryLaw | None
    cpu_law: ProxyCpuLaw | None
    price: UnitPrice
    hours: float
    notes: tuple[str, ...]

    def worth(self, lever: Lever) -> Interval | None:
        """USD a month: of the store, or of cores and bytes at their price, which is no bill."""
        parts = [] if lever.usd is None else [lever.usd]
        if lever.memory is not None:
            parts.append(lever.memory.scaled(self.price.usd_per_byte_hour * self.hours))
        if lever.cpu is not None:
            parts.append(lever.cpu.scaled(self.price.usd_per_core_hour * self.hours))
        if not parts:
            return None
        return Interval(
            sum(p.low for p in parts), sum(p.mid for p in parts), sum(p.high for p in parts)
        )


def sidecars_of(snapshot: Snapshot, usage: pd.DataFrame) -> pd.DataFrame:
    """One row for each sidecar of the last day.

    Returns
    -------
    DataFrame
        `namespace`, `pod`, `memory` (p95, bytes), `cpu_p99` (cores), `requested` (bytes),
        `cpu_limit` (cores), and what its Envoy reports, at its most over the week: `clusters`, `threads`, `connections`,
        `samples`, `samples_a_day`; NaN where it does not.
    """
    last = plain_text(snapshot.read("containers", days=snapshot.days[-1:]))
    ours = last[last["component"].eq("sidecar")][[*_KEY, "memory_request", "cpu_limit"]]
    mine = usage[usage["component"].eq("sidecar")].groupby(_KEY)
    table = ours.rename(columns={"memory_request": "requested"}).drop_duplicates(_KEY)
    for name, values in (
        ("memory", mine["memory"].quantile(0.95)),
        ("cpu_p99", mine["cpu"].quantile(BUSY)),
    ):
        table = table.merge(values.rename(name).reset_index(), on=_KEY, how="left")
    reported = plain_text(snapshot.read("proxies", days=snapshot.days[-_DAYS:]))
    columns = [*COLUMNS.values(), "samples_a_day"]
    most = reported.groupby(_KEY)[columns].max().reset_index()
    names = {column: driver for driver, column in COLUMNS.items()}
    return table.merge(most.rename(columns=names), on=_KEY, how="left")


def study_proxies(snapshot: Snapshot, settings: Settings) -> ProxyStudy:
    """Fit what there is and name each lever.

    Raises
    ------
    NoDataError
        Without sidecars on the last day.
    """
    usage = proxy_usage(snapshot)
    proxies = sidecars_of(snapshot, usage)
    if proxies.empty:
        raise NoDataError(
            "no sidecar on the snapshot's last day", hint="collect with kube-state-metrics"
        )
    rates, notes = read_rates(snapshot), []
    law: MemoryLaw | None = None
    try:
        law = fit_memory(proxies)
    except NoDataError as error:
        notes.append(f"memory is not fitted: {error.what}")
    cpu = sidecar_law(usage, rates)
    priced = unit_price(snapshot.manifest.region)
    hours = settings.prices.hours_per_month
    requested = float(proxies["requested"].fillna(0.0).sum())
    notes.append(
        "savings of cores and bytes are worth their price once requests follow; they overlap and do "
        "not add up"
    )
    return ProxyStudy(
        len(proxies),
        float(proxies["memory"].sum()),
        requested,
        _levers(snapshot, settings, proxies, (rates, law, cpu), priced.price, requested),
        law,
        cpu,
        priced.price,
        hours,
        tuple(notes),
    )


def _levers(
    snapshot: Snapshot,
    settings: Settings,
    proxies: pd.DataFrame,
    fitted: tuple[Rates, MemoryLaw | None, ProxyCpuLaw | None],
    price: UnitPrice,
    requested: float,
) -> tuple[Lever, ...]:
    rates, law, cpu = fitted
    prices = settings.prices
    sample = other_costs(prices.other_costs_file).get("prometheus_samples")
    worth = requested * price.usd_per_byte_hour * prices.hours_per_month
    traffic = _traffic(snapshot)
    log = access_log(
        traffic, bytes_per_line=prices.access_log_bytes_per_line, hours=prices.hours_per_month
    )
    through = rates.through.sum(axis=1)
    busy_rate = float(through.quantile(BUSY)) if len(through) else 0.0
    source = "no price is set" if sample is None else f"{sample.source}, {sample.as_of}"
    return (
        clusters_lever(proxies, law, None),
        threads_lever(proxies, law),
        *connections_levers(proxies, _in_flight(traffic), _http1_share(traffic), law),
        statistics_lever(proxies, law),
        scrape_lever(proxies, None if sample is None else sample.usd, worth, source),
        *request_levers(cpu, busy_rate, log.bytes / GIGABYTE),
    )


def _traffic(snapshot: Snapshot) -> pd.DataFrame:
    """Traffic of the last week."""
    columns = [
        "time", "source_workload", "destination_workload", "protocol", "requests",
        "duration_seconds",
    ]  # fmt: skip
    days = snapshot.days[-_DAYS:]
    return plain_text(snapshot.read("traffic", days=days))[columns]


def _in_flight(traffic: pd.DataFrame) -> float:
    """Requests in flight in the busy hour, counted at the caller's and the called proxy."""
    if traffic.empty:
        return 0.0
    by_hour = traffic.groupby("time")["duration_seconds"].sum() / 3600
    return 2 * float(by_hour.quantile(BUSY))


def _http1_share(traffic: pd.DataFrame) -> float:
    both = traffic[traffic["protocol"].isin(("http", "grpc"))]
    total = float(both["requests"].sum())
    return float(both.loc[both["protocol"].eq("http"), "requests"].sum()) / total if total else 0.0
