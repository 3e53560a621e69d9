"""What makes a proxy big, as JSON, a table and lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

from rightsize.output.tables import Column, Table
from rightsize.proxies.levers import Lever
from rightsize.proxies.memory import DRIVERS
from rightsize.proxies.study import ProxyStudy
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval

JSON_VERSION = 1


def proxies_to_dict(study: ProxyStudy, *, simulated: bool) -> Mapping[str, object]:
    """The answer of `rightsize proxies --format json`; see docs/proxies.md."""
    law = study.memory_law
    return {
        "schema_version": JSON_VERSION,
        "simulated": simulated,
        "sidecars": study.sidecars,
        "memory_p95_bytes": study.memory,
        "memory_requested_bytes": study.requested,
        "bytes_by_driver": {
            name: None if law is None else _interval(law.price(name)) for name in DRIVERS
        },
        "cores_by_request_per_second": None
        if study.cpu_law is None or not study.cpu_law.measured
        else asdict(study.cpu_law.per_request),
        "levers": [_lever(study, lever) for lever in study.levers],
        "notes": list(study.notes),
    }


def levers_table(study: ProxyStudy) -> Table:
    """One row for each lever."""

    def worth(lever: Lever) -> str:
        found = study.worth(lever)
        return "not known" if found is None else _range(found, "{:,.0f}".format)

    columns = [
        Column("lever", lambda lever: lever.title),
        Column("today", lambda lever: lever.now),
        Column("saves", _saves),
        Column("worth, USD/month", worth, figure=True),
        Column("basis", lambda lever: lever.basis),
        Column(
            "set at",
            lambda lever: "; ".join(f"{s.kind} {s.path}: {s.value}" for s in lever.settings),
        ),
    ]
    return Table("Levers on the size of proxies", columns, study.levers)


def proxy_parts(study: ProxyStudy) -> list[Table | str]:
    """The same for people."""
    return [
        f"{study.sidecars} sidecars: {format_memory(study.memory)} used (p95 of each), "
        f"{format_memory(study.requested)} requested",
        levers_table(study),
        *(f"note: {note}" for note in study.notes),
    ]


def _saves(lever: Lever) -> str:
    parts = []
    if lever.memory is not None:
        parts.append(f"memory {_range(lever.memory, format_memory)}")
    if lever.cpu is not None:
        parts.append(f"CPU at most {format_cpu(lever.cpu.high)}")
    return ", ".join(parts)


def _range(found: Interval, text: Callable[[float], str]) -> str:
    shown = [text(value) for value in (found.low, found.mid, found.high)]
    return shown[1] if shown[0] == shown[2] else f"{shown[1]} ({shown[0]} to {shown[2]})"


def _lever(study: ProxyStudy, lever: Lever) -> Mapping[str, object]:
    return {
        **asdict(lever),
        "usd_per_month": _interval(study.worth(lever)),
        "settings": [asdict(one) for one in lever.settings],
    }


def _interval(found: Interval | None) -> Mapping[str, object] | None:
    return None if found is None else asdict(found)
