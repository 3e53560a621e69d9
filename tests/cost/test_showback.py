"""The bill by team: who owns a workload, how common costs are spread, and that nothing is lost."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.config import ReviewSettings
from rightsize.cost.showback import COMMON, NO_TEAM, showback, teams_of

PODS = pd.DataFrame(
    [
        ("shop", "web", json.dumps({"team": "front"})),
        ("shop", "cart", json.dumps({"app": "cart"})),
        ("stock", "db", None),
        ("loose", "job", None),
    ],
    columns=["namespace", "workload", "labels"],
)
NAMESPACES = pd.DataFrame(
    [("shop", json.dumps({"team": "shop-owners"})), ("stock", json.dumps({"team": "stock"}))],
    columns=["namespace", "labels"],
)


def team_of(workload: str, *rules: str) -> str:
    found = teams_of(PODS, NAMESPACES, rules).set_index("workload")["team"]
    return found[workload]


def test_a_pods_own_label_wins_over_its_namespaces():
    assert team_of("web", "label:team") == "front"
    assert team_of("cart", "label:team") == "shop-owners"
    assert team_of("web", "namespace-label:team") == "shop-owners"


def test_rules_are_tried_in_turn_and_what_none_knows_has_no_team():
    assert team_of("job", "label:team") == NO_TEAM
    assert team_of("job", "label:team", "namespace") == "loose"


def bill(own: list[tuple[str, int, int]], common: int, dark: tuple[str, ...] = ()) -> pd.DataFrame:
    rows = []
    for workload, application, sidecar in own:
        for part, component, cents in (
            ("application", None, application), ("mesh", "sidecar", sidecar),
        ):  # fmt: skip
            rows.append((part, component, "shop", workload, cents))
    rows.append(("idle", None, None, "not requested", common))
    table = pd.DataFrame(rows, columns=["part", "component", "namespace", "workload", "cents"])
    table["known_usd"] = table["cents"] / 100
    table["usd"] = table["known_usd"].mask(table["workload"].isin(dark))
    return table


def teams(*names: str) -> pd.DataFrame:
    rows = [("shop", name, name.rstrip("0123456789")) for name in names]
    return pd.DataFrame(rows, columns=["namespace", "workload", "team"])


@settings(deadline=None)
@given(
    own=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5)), min_size=1, max_size=8),
    common=st.integers(0, 10**6),
    spread=st.sampled_from(["even", "requests", "none"]),
)
def test_teams_add_up_to_the_bill_to_the_cent(own, common, spread):
    names = [f"{'ab'[i % 2]}{i}" for i in range(len(own))]
    rows = bill([(name, *cents) for name, cents in zip(names, own, strict=True)], common)
    found = showback(rows, teams(*names), spread)
    assert round(float(found["usd"].sum()) * 100) == int(rows["cents"].sum())
    cells = found[["application_usd", "sidecar_usd", "spread_usd"]] * 100
    assert (cells.round(6) % 1 == 0).all(axis=None)
    assert (cells.sum(axis=1).round() == (found["usd"] * 100).round()).all()


def test_common_costs_go_evenly_by_requests_or_stay_apart():
    rows = bill([("a1", 3000, 0), ("b1", 800, 200)], 1000)
    spread = {
        rule: showback(rows, teams("a1", "b1"), rule).set_index("team")["usd"].to_dict()
        for rule in ("even", "requests", "none")
    }
    assert spread["even"] == {"a": 35.0, "b": 15.0}
    assert spread["requests"] == {"a": 37.5, "b": 12.5}
    assert spread["none"] == {"a": 30.0, "b": 10.0, COMMON: 10.0}


def test_what_is_unknown_stays_unknown_and_only_there_where_nothing_is_spread():
    rows = bill([("a1", 3000, 0), ("b1", 800, 200)], 1000, dark=("a1",))
    apart = showback(rows, teams("a1", "b1"), "none").set_index("team")["usd"]
    assert np.isnan(apart["a"])
    cells = showback(rows, teams("a1", "b1"), "none").set_index("team")
    assert np.isnan(cells.loc["a", "application_usd"])
    assert cells.loc["b", "application_usd"] == 8.0
    assert apart["b"] == 10.0
    assert showback(rows, teams("a1", "b1"), "requests")["usd"].isna().all()
    even = showback(rows, teams("a1", "b1"), "even").set_index("team")["usd"]
    assert even["b"] == 15.0


@pytest.mark.parametrize("rule", ["team", "label:", "annotation:team", "namespace:x"])
def test_a_rule_that_is_none_is_refused(rule):
    with pytest.raises(ValueError, match="is no rule"):
        ReviewSettings(team=(rule,))
