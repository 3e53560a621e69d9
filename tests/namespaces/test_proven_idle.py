"""A sidecar is offered for removal only where nothing speaks against it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rightsize.namespaces.injection import InjectionCandidate
from rightsize.namespaces.study import proven_idle
from rightsize.snapshot import Snapshot
from tests.tiny_mesh import Tiny, tiny_snapshot

CANDIDATES = tuple(
    InjectionCandidate("shop", name, "Deployment", 2, 10, 0.1, 2.0**27, native=False)
    for name in ("calm", "busy")
)


@pytest.fixture
def snapshot(tmp_path) -> Snapshot:
    return tiny_snapshot(
        tmp_path / "s",
        Tiny(workload="calm", namespace="shop", cpu=(0.004,)),
        Tiny(workload="busy", namespace="shop", cpu=(0.06,)),
    )


def test_a_proxy_that_works_keeps_its_place_though_no_traffic_is_reported(snapshot):
    kept, notes = proven_idle(snapshot, CANDIDATES)
    assert [one.workload for one in kept] == ["calm"]
    assert notes == [
        "shop/busy shows no traffic, and keeps its sidecar: its p95 CPU of 60m says that it has some"
    ]


@pytest.mark.parametrize("metric", ["istio_tcp_connections_opened_total", "istio_requests_total"])
def test_nobody_is_idle_for_sure_where_a_metric_of_traffic_lacks_a_day(snapshot, metric):
    days = dict(snapshot.manifest.days)
    last = max(days)
    days[last] = replace(days[last], absent=(metric,))
    snapshot.manifest = replace(snapshot.manifest, days=days)
    kept, notes = proven_idle(snapshot, CANDIDATES)
    assert kept == ()
    assert "2 workloads show no traffic, and keep their sidecars: on 1 of" in notes[0]


def test_without_candidates_there_is_nothing_to_say(snapshot):
    assert proven_idle(snapshot, ()) == ((), [])


def test_a_proxy_of_unknown_cpu_keeps_its_place(snapshot):
    unseen = replace(CANDIDATES[0], workload="unseen")
    kept, notes = proven_idle(snapshot, (unseen,))
    assert kept == ()
    assert notes[0].endswith("no CPU of its proxy is known")


def test_a_day_that_does_not_say_what_it_lacks_is_no_proof(snapshot):
    days = {day: replace(record, absent=None) for day, record in snapshot.manifest.days.items()}
    snapshot.manifest = replace(snapshot.manifest, days=days)
    assert proven_idle(snapshot, CANDIDATES)[0] == ()
