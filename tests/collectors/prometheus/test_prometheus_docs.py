"""docs/collect.md lists every metric that is read, and every message keeps its exit code apart."""

from __future__ import annotations

from pathlib import Path

from rightsize.collectors import errors
from rightsize.collectors.errors import MetricsServerError
from rightsize.collectors.prometheus.queries import DAILY

PAGE = (Path(__file__).parents[3] / "docs" / "collect.md").read_text()


def test_every_metric_is_listed_with_what_its_absence_costs() -> None:
    for query in DAILY:
        for metric in query.metrics if query.costs else ():
            row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{metric}` |"))
            first = next(q for q in DAILY if metric in q.metrics and q.costs)
            assert row.endswith(f"| {first.costs} |")


def test_queries_have_names_of_their_own() -> None:
    names = [query.name for query in DAILY]
    assert len(set(names)) == len(names)


def test_each_fault_has_an_exit_code_of_its_own_between_20_and_39() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, MetricsServerError)
    ]
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes) == 14
    assert all(20 <= code < 40 for code in codes)
