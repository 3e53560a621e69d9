"""The Python interface: frames for the analyst, and errors that name the argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

import rightsize
from rightsize.errors import UsageError
from rightsize.mesh import Mesh
from tests.review.two_months import OCTOBER, SEPTEMBER, Month, written


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    path = tmp_path_factory.mktemp("mesh") / "snapshot"
    return Mesh(written(path, Month(SEPTEMBER, 2), Month(OCTOBER, 3)))


@pytest.mark.parametrize(
    ("argument", "ask"),
    [
        ("name", lambda mesh: mesh.table("nope")),
        ("plans", lambda mesh: mesh.nodes(plans=["nope"])),
        ("by", lambda mesh: mesh.allocation(by="hour")),
        ("policies", lambda mesh: mesh.backtest({})),
        ("policy", lambda mesh: mesh.recommend(policy="nope")),
        ("policy", lambda mesh: mesh.plot_requests(policy=5)),
        ("plans", lambda mesh: mesh.nodes(plans=[])),
        ("plans", lambda mesh: mesh.nodes(plans="mix")),
        ("policies", lambda mesh: mesh.backtest("balanced")),
        ("train_days", lambda mesh: mesh.backtest(["balanced"], train_days=0)),
        ("test_days", lambda mesh: mesh.backtest(["balanced"], test_days="7")),
        ("namespaces", lambda mesh: mesh.backtest(["balanced"], namespaces=["nope"])),
        ("services", lambda mesh: mesh.what_if(services=-1)),
        ("pods", lambda mesh: mesh.what_if(pods="many")),
        ("requests_per_second", lambda mesh: mesh.what_if(requests_per_second=float("nan"))),
        ("waypoint_share", lambda mesh: mesh.what_if(ambient=True, waypoint_share=2)),
        ("month", lambda mesh: mesh.review(5)),
        ("days", lambda mesh: rightsize.load(mesh.snapshot.path, days="x")),
        ("days", lambda mesh: rightsize.load(mesh.snapshot.path, days=1.5)),
        ("start", lambda mesh: rightsize.load(mesh.snapshot.path, start="2026-10-01")),
        ("snapshot", lambda mesh: rightsize.load(None)),
        ("settings", lambda mesh: rightsize.load(mesh.snapshot.path, {"prices": {}})),
        ("bill", lambda mesh: mesh.against_bill(5)),
        ("earlier", lambda mesh: mesh.review(earlier=5)),
        ("out", lambda mesh: mesh.report(None)),
        ("files", lambda mesh: mesh.ambient("values.yaml")),
        ("files", lambda mesh: mesh.ambient([None])),
        ("resource", lambda mesh: mesh.plot_requests("gpu")),
        ("component", lambda mesh: mesh.plot_requests("cpu", component="nope")),
        ("days", lambda mesh: rightsize.load(mesh.snapshot.path, days=0)),
        ("start", lambda mesh: rightsize.load(mesh.snapshot.path, start=date(2027, 1, 1))),
    ],
)
def test_a_bad_argument_is_named(mesh: Mesh, argument: str, ask: Callable[[Mesh], object]) -> None:
    with pytest.raises(UsageError, match=argument) as raised:
        ask(mesh)
    assert "--" not in str(raised.value), "a flag is of the command line"


@pytest.mark.parametrize(
    ("frame", "hours"),
    [
        (lambda mesh: mesh.bill(), 730.0),
        (lambda mesh: mesh.allocation(), 730.0),
        (lambda mesh: mesh.allocation(by="day"), 120.0),
    ],
)
def test_frames_of_money_carry_cluster_window_hours_and_what_has_no_price(
    mesh: Mesh, frame: Callable[[Mesh], pd.DataFrame], hours: float
) -> None:
    carried = frame(mesh).attrs
    assert carried["cluster"] == "two-months"
    assert carried["start"].date() == date(2026, 9, 1)
    assert carried["end"].date() == date(2026, 10, 4)
    assert (carried["hours"], carried["hours_seen"]) == (hours, 120.0)
    assert carried["unpriced"] == ()


def test_sizes_and_plans_carry_their_window_too(mesh: Mesh) -> None:
    sizes, plans = mesh.recommend(), mesh.nodes(plans=["same-type"])
    for carried in (sizes.attrs, plans.attrs):
        assert carried["cluster"] == "two-months"
        assert carried["end"].date() == date(2026, 10, 4)
    assert (plans.attrs["hours"], plans.attrs["unpriced"]) == (730.0, ())


def test_one_month_or_some_days_can_be_loaded(mesh: Mesh) -> None:
    path = mesh.snapshot.path
    september = rightsize.load(path, month="2026-09").snapshot.days
    assert [day.month for day in september] == [9, 9]
    some = rightsize.load(path, start=date(2026, 9, 2), end=date(2026, 10, 2)).snapshot.days
    assert list(some) == [date(2026, 9, 2), date(2026, 10, 1)]


def test_the_days_add_up_to_what_the_machines_and_their_volumes_cost(mesh: Mesh) -> None:
    days = mesh.allocation(by="day")
    nodes = pd.concat(
        pd.read_parquet(file)
        for file in Path(mesh.snapshot.path).rglob("*.parquet")
        if file.stem == "nodes" or file.parent.name == "nodes"
    )
    hours = (nodes["last_seen"] - nodes["first_seen"]).dt.total_seconds() / 3600 + 1 / 12
    machines = float(hours.sum()) * 0.192
    volumes = float(hours.sum()) / 730 * 20 * 0.08
    assert days["usd"].sum() == pytest.approx(machines + volumes, rel=1e-6)
    assert days["day"].nunique() == 5
