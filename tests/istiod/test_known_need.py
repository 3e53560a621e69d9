"""Histories of which the need is known: no answer is below it, at any number of replicas.

Each history follows one law in every hour, and an event on top of it: what a pod needs in such an event
follows for any number of pods, not only for those that were there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from rightsize.istiod.model import fit_istiod
from rightsize.istiod.replicas import replica_plans
from tests.istiod.synthetic_istiod import MIB, START, Law, Mesh, hours_of
from tests.istiod.test_rare_events import advise

LAW = Law()
DAYS = 21
TOLERANCE = 0.97
"""Noise of a single hour: the need is known to 3 %."""


@dataclass(frozen=True)
class History:
    """Hours in which something happens, and what one of `n` pods then needs.

    `share` gives the part of all proxies on one pod, by the number of pods; `extra` is in MiB, `cores`
    the busiest five minutes above the hour's mean.
    """

    at: tuple[int, ...]
    share: Callable[[int], float]
    extra: float
    cores: float
    lost: bool = False
    """The first pod is not there in these hours."""
    pushes: float = 1.0

    def need(self, hours: pd.DataFrame, pods: int) -> tuple[float, float]:
        """MiB and cores of one of `pods` pods."""
        proxies = float(hours.groupby("time")["proxies"].sum().median()) * self.share(pods)
        services = float(hours["services"].min())
        memory = LAW.level + LAW.service * services + LAW.proxy * proxies + self.extra
        return memory, LAW.cpu_level + LAW.cpu_proxy * proxies + self.cores


HISTORIES = {
    "a storm: one pod takes nearly all proxies": History((100, 300), lambda _: 0.95, 600, 3.0),
    "a spike of one pod": History((50,), lambda n: 1 / n, 1500, 4.0),
    "a full push each week": History((20, 188, 356), lambda n: 1 / n, 700, 2.0),
    "churn on two days": History((200, 201, 202, 400), lambda n: 1 / n, 300, 2.0, pushes=20.0),
    "a node that is replaced": History((250,), lambda n: 1 / max(n - 1, 1), 500, 1.0, lost=True),
}


def played(history: History, mesh: Mesh) -> pd.DataFrame:
    """The mesh with the event: the first pod that is there bears it."""
    hours = hours_of(mesh)
    names = sorted(mesh.pods)
    bearer = names[1] if history.lost else names[0]
    inside = hours["time"].isin(START + pd.to_timedelta(np.array(history.at), "h"))
    total = hours.groupby("time")["proxies"].transform("sum")
    share = history.share(len(names))
    rest = (1 - share) / max(len(names) - 1, 1)
    ours = inside & (hours["pod"] == bearer)
    before = hours["proxies"].copy()
    hours.loc[inside, "proxies"] = total[inside] * (share if history.lost else rest)
    hours.loc[ours, "proxies"] = total[ours] * share
    added = hours["proxies"] - before
    hours["memory"] += LAW.proxy * added * MIB
    hours["cpu_burst"] += LAW.cpu_proxy * added
    hours.loc[ours, "memory"] += history.extra * MIB
    hours.loc[ours, "cpu_burst"] += history.cores
    hours.loc[inside, "pushes"] *= history.pushes
    gone = inside & (hours["pod"] == names[0]) & history.lost
    return hours[~gone].reset_index(drop=True)


@pytest.mark.parametrize("pods", [2, 4])
@pytest.mark.parametrize("name", HISTORIES)
def test_no_plan_is_below_the_known_need(name, pods):
    history = HISTORIES[name]
    mesh = Mesh(hours=DAYS * 24, growth=0.0, pods=tuple(f"istiod-{c}" for c in "abcd"[:pods]))
    hours = played(history, mesh)
    model = fit_istiod(hours)
    for plan in replica_plans(hours, model, model.replicas, margin=0.2):
        memory, cpu = history.need(hours, plan.replicas)
        assert plan.memory.high >= TOLERANCE * memory * MIB, plan.replicas
        assert plan.cpu_peak >= TOLERANCE * cpu, plan.replicas


@pytest.mark.parametrize("a_day", [6.0, 48.0])
def test_a_leak_has_no_known_need_and_is_never_cut(a_day):
    """What a pod will need depends on when it is started again."""
    pods = 2
    mesh = Mesh(hours=30 * 24, growth=0.0, leak_mib_per_hour=a_day / 24)
    now = 4.0 * 2**30
    found = advise(hours_of(mesh), memory_request=now)
    assert found.recommended.memory_request >= now
    model = fit_istiod(hours_of(mesh))
    seen = float(hours_of(mesh)["memory"].max())
    for plan in replica_plans(hours_of(mesh), model, model.replicas, margin=0.2):
        share = LAW.proxy * mesh.proxies * (1 / pods - 1 / plan.replicas) * MIB
        assert plan.memory.high >= TOLERANCE * (seen - max(share, 0.0)), plan.replicas


@pytest.mark.parametrize("pods", [2, 4])
def test_a_storm_within_an_hour_is_planned_for_as_a_share_of_all_proxies(pods):
    """Gauges are each pod's highest of the hour: the proxies that moved count on both pods."""
    history = History((100, 300), lambda _: 0.95, 0.0, 0.0)
    proxies = 6000.0
    mesh = Mesh(hours=DAYS * 24, growth=0.0, proxies=proxies, pods=tuple("abcd"[:pods]))
    hours, quiet = played(history, mesh), hours_of(mesh)
    others = hours["pod"] != "a"
    hours.loc[others, ["proxies", "memory"]] = quiet.loc[others, ["proxies", "memory"]]
    model = fit_istiod(hours)
    need = history.need(quiet, 12)[0] * MIB
    for plan in replica_plans(hours, model, model.replicas, margin=0.2):
        assert plan.memory.high >= TOLERANCE * need, plan.replicas
