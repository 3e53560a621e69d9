"""istiod's memory and CPU by load: recovered where the law holds, diagnosed where it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rightsize.errors import NoDataError
from rightsize.istiod.diagnoses import diagnose
from rightsize.istiod.law import NonNegativeQuantileLaw
from rightsize.istiod.model import fit_istiod
from rightsize.istiod.observations import istiod_hours
from tests.istiod.synthetic_istiod import (
    MIB,
    START,
    Law,
    Mesh,
    containers_of,
    control_plane_of,
    hours_of,
)

DRIVERS = ["services", "proxies"]


def true_memory(law: Law, services: float, proxies: float) -> float:
    return (law.level + law.service * services + law.proxy * proxies) * MIB


def test_memory_at_3000_services_is_inside_the_interval_nine_times_in_ten():
    inside = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        law = Law(rng.uniform(50, 300), rng.uniform(0.2, 1.5), rng.uniform(0.05, 0.5), noise=0.03)
        model = fit_istiod(hours_of(Mesh(law=law, seed=seed)))
        load = replace(model.load, services=3000.0, proxies=9000.0)
        found = model.memory.at(load, 3)
        inside.append(found.low <= true_memory(law, 3000, 3000) <= found.high)
    assert np.mean(inside) >= 0.9


def test_cpu_follows_proxies_and_pushes():
    price = {c.driver: c.value.mid for c in fit_istiod(hours_of(Mesh())).cpu.coefficients}
    assert price["proxies"] == pytest.approx(2e-4, rel=0.15)
    assert price["pushes"] == pytest.approx(0.01, rel=0.15)


def test_the_error_on_later_hours_is_reported():
    model = fit_istiod(hours_of(Mesh()))
    assert 0.002 < model.memory.cv_error < 0.05


def test_pods_share_proxies_and_all_know_every_service():
    model = fit_istiod(hours_of(Mesh()))
    one, two = (model.memory.at(model.load, n).mid for n in (1, 2))
    assert one - two == pytest.approx(0.3 * MIB * model.load.proxies / 2, rel=0.15)


def test_a_mesh_that_never_changed_says_what_it_cannot_tell():
    model = fit_istiod(hours_of(Mesh(growth=0.0)))
    assert not {c.driver: c for c in model.memory.coefficients}["services"].identified
    assert any("one service is not identified" in note for note in model.memory.notes)
    assert any("1.5 GB at 1000 services" in note for note in model.memory.notes)


@pytest.mark.parametrize(
    ("mesh", "kind"),
    [
        (Mesh(leak_mib_per_hour=0.8, growth=0.1), "leak"),
        (Mesh(cap_mib=850.0), "saturation"),
        (Mesh(held_hours=12), "lag"),
    ],
    ids=["leak", "saturation", "lag"],
)
def test_a_law_outside_the_family_shows(mesh, kind):
    shown = []
    for seed in range(6):
        found = diagnose(hours_of(replace(mesh, seed=seed)), DRIVERS, "memory")
        shown.append(kind in {d.kind for d in found})
    assert np.mean(shown) >= 0.9


def test_a_law_inside_the_family_is_not_accused():
    assert not any(diagnose(hours_of(Mesh(seed=s)), DRIVERS, "memory") for s in range(10))


def test_where_half_of_the_meshes_follow_another_law_the_interval_holds_or_a_diagnosis_warns():
    kinds = (Mesh(), Mesh(leak_mib_per_hour=0.8, growth=0.1), Mesh(), Mesh(cap_mib=850.0))
    safe, trusted = [], []
    for seed in range(16):
        mesh = replace(kinds[seed % 4], seed=seed)
        hours = hours_of(mesh)
        law = NonNegativeQuantileLaw().fit(hours[DRIVERS], hours["memory"], groups=hours["pod"])
        warned = bool(diagnose(hours, DRIVERS, "memory"))
        truth = true_memory(mesh.law, 3000, 3000)
        # A month later the leak has gone on; a cap stays where it is.
        truth = min(truth, mesh.cap_mib * MIB) + mesh.leak_mib_per_hour * 1000 * MIB
        low, _, high = law.predict_interval([[3000.0, 3000.0]])[0]
        safe.append(low <= truth <= high or warned)
        trusted.append(not warned)
    assert np.mean(safe) >= 0.9
    # Not by warning of everything: the half inside the family is trusted.
    assert np.mean(trusted[::2]) >= 0.9


def test_a_model_with_a_diagnosis_is_not_trusted():
    assert fit_istiod(hours_of(Mesh())).trusted
    leaking = fit_istiod(hours_of(Mesh(leak_mib_per_hour=0.8, growth=0.1)))
    assert not leaking.trusted
    assert any("leak" in note for note in leaking.memory.notes)


def test_metrics_become_one_row_for_each_hour_and_pod():
    truth = hours_of(Mesh(hours=48))
    found = istiod_hours(control_plane_of(truth))
    for column in ("proxies", "services", "pushes", "cpu", "memory"):
        assert found[column].to_numpy() == pytest.approx(truth[column].to_numpy())


def test_the_containers_own_usage_wins_over_what_the_process_says():
    truth = hours_of(Mesh(hours=48, pods=("istiod-a",)))
    windows = pd.DataFrame(
        {
            "time": START + pd.to_timedelta(np.arange(1, 48 * 12 + 1) * 5, "min"),
            "namespace": "istio-system",
            "pod": "istiod-a",
            "container": "discovery",
            "cpu": np.tile([0.1] * 11 + [0.7], 48),
            "memory": 5e9,
        }
    )
    found = istiod_hours(
        control_plane_of(truth), usage=windows, containers=containers_of(("istiod-a",))
    )
    assert (found["memory"] == 5e9).all()
    assert found["cpu"].to_numpy() == pytest.approx(0.15)
    assert found["cpu_burst"].to_numpy() == pytest.approx(0.7)


def test_endpoints_are_the_mean_number_of_pods_of_the_day():
    day = pd.DataFrame(
        {
            "day": START,
            "namespace": "shop",
            "pod": ["a", "b", "h"],
            "host_network": [False, None, True],
            "first_seen": START + pd.Timedelta("5min"),
            "last_seen": [
                START + pd.Timedelta("1D"),
                START + pd.Timedelta("12h"),
                START + pd.Timedelta("1D"),
            ],
            "started": START,
        }
    )
    found = istiod_hours(control_plane_of(hours_of(Mesh(hours=24))), pods=day)
    assert found["endpoints"].to_numpy() == pytest.approx(1.5)


def test_a_few_hours_are_refused_with_what_to_do():
    with pytest.raises(NoDataError, match="24 are needed"):
        fit_istiod(hours_of(Mesh(hours=6)))


def test_a_snapshot_without_istiods_metrics_is_refused():
    with pytest.raises(NoDataError, match="without pilot_xds and pilot_services"):
        fit_istiod(istiod_hours(control_plane_of(hours_of(Mesh(hours=24))).iloc[:0]))
