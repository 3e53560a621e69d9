"""Holds a report's tables against `recomputed`; nothing of the program is imported here."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.output.report.recomputed import Recomputed

CENT = 0.011
"""Rounded figures that add up may each be a cent off."""


def reconcile(folder: Path, now: Recomputed, before: Recomputed) -> int:
    """Compare every amount of money, hours, requests and windows; return how many were held."""
    held = 0

    def table(name: str) -> pd.DataFrame:
        return pd.read_csv(folder / "tables" / f"{name}.csv")

    def same(shown: float, ours: float, what: object, *, near: float = CENT) -> None:
        nonlocal held
        assert shown == pytest.approx(ours, abs=near, rel=1e-6), what
        held += 1

    causes = table("parts").set_index("part")
    for part, usd in now.causes().items():
        same(causes.loc[part, "usd"], usd, part)
        same(causes.loc[part, "share"], usd / now.bill, part, near=2e-5)
    lines = table("bill").set_index("line")["mid_usd"]
    same(lines["EC2 on-demand"], now.nodes["ec2"].sum(), "EC2")
    same(lines["EBS root volumes"], (now.nodes["usd"] - now.nodes["ec2"]).sum(), "volumes")
    same(lines["EKS control plane"], 0.1 * now.hours, "EKS")
    same(lines["cross-zone traffic of the mesh"], now.crossing, "traffic between zones")
    workloads = table("allocation").set_index(["part", "component", "namespace", "workload"])["usd"]
    ours = now.by_workload()
    for key, usd in ours.items():
        if usd >= 0.005:
            same(workloads[key], usd, key)
    spaces = table("namespaces").set_index("namespace")
    mesh = ours[ours.index.get_level_values("part") == "mesh"].groupby("namespace").sum()
    for name, usd in mesh.items():
        same(spaces.loc[name, "mesh_usd"], usd, name, near=0.05)
    groups = table("node-groups")
    same(groups["node_hours"].sum(), now.nodes["hours"].sum(), "node-hours")
    same(groups["usd"].sum(), now.nodes["ec2"].sum(), "machines")
    held += _months(table("months"), now, before)
    held += _unit_costs(table("unit-costs"), now)
    held += _changes(table("changes"), now, before)
    held += _risk(table("risk"), table("requests"), now)
    held += _incidents(table("incidents"), now)
    figures = {
        f["label"]: f["value"] for f in json.loads((folder / "report.json").read_text())["figures"]
    }
    same(figures["Mesh cost"]["mid"], now.causes()["mesh"], "mesh cost")
    same(
        figures["Share of the cluster's bill"], now.causes()["mesh"] / now.bill, "share", near=2e-5
    )
    return held


def _months(shown: pd.DataFrame, now: Recomputed, before: Recomputed) -> int:
    rows = shown.set_index("month")
    for one in (now, before):
        row = rows.loc[one.month]
        assert row["hours"] == one.hours
        assert row["bill_usd"] == pytest.approx(one.bill, abs=CENT)
        assert row["usd_per_day"] == pytest.approx(one.bill / one.hours * 24, abs=CENT)
        assert row["mesh_usd"] == pytest.approx(one.causes()["mesh"], abs=CENT)
        assert row["nodes"] == pytest.approx(one.nodes["hours"].sum() / one.hours, abs=0.005)
    each = now.causes()["mesh"] / now.requests.sum() * 1e6
    assert rows.loc[now.month, "usd_per_million"] == pytest.approx(each, abs=1e-5)
    return 11


def _unit_costs(shown: pd.DataFrame, now: Recomputed) -> int:
    rows = now.asked
    own = rows[rows["component"].isna() & ~rows["namespace"].isin(["kube-system"])]
    own = pd.concat([own, rows[rows["component"] == "sidecar"]])
    usd = own.groupby(["namespace", "workload"])["usd"].sum()
    checked = 0
    for row in shown.itertuples():
        if row.namespace == "(the mesh)":
            assert row.requests == pytest.approx(now.requests.sum())
        elif row.workload == "(all)":
            assert row.usd == pytest.approx(usd[row.namespace].sum(), abs=0.05)
        else:
            key = (row.namespace, row.workload)
            assert row.requests == pytest.approx(now.requests[key])
            assert row.usd == pytest.approx(usd[key], abs=2 * CENT), key
            assert row.usd_per_million == pytest.approx(
                usd[key] / now.requests[key] * 1e6, rel=0.01
            )
        checked += 1
    return checked


def _changes(shown: pd.DataFrame, now: Recomputed, before: Recomputed) -> int:
    sides = [one.by_workload().groupby(["part", "namespace"]).sum() / one.hours * 24
             for one in (before, now)]  # fmt: skip
    checked = 0
    for row in shown[~shown["namespace"].eq("–")].itertuples():
        key = (row.part, row.namespace)
        assert row.before_usd == pytest.approx(sides[0].get(key, 0.0), abs=CENT), key
        assert row.now_usd == pytest.approx(sides[1].get(key, 0.0), abs=CENT), key
        checked += 1
    return checked


def _risk(shown: pd.DataFrame, sizes: pd.DataFrame, now: Recomputed) -> int:
    usage = now.usage()
    usage["name"] = usage["namespace"].astype(str) + "/" + usage["workload"].astype(str)
    asked = sizes.set_index(["name", "component"])["cpu_recommended_request_cores"]
    checked = 0
    for row in shown.itertuples():
        mine = usage[(usage["name"] == row.name) & (usage["component"] == row.component)]
        assert row.windows == mine["cpu"].notna().sum(), row.name
        above = int((mine["cpu"] > asked[row.name, row.component]).sum())
        assert row.cpu_above_recommended == above, row.name
        checked += 1
    return checked


def _incidents(shown: pd.DataFrame, now: Recomputed) -> int:
    containers = now.table("containers")
    pods = now.table("pods")[["day", "namespace", "pod", "workload"]]
    owned = containers[containers["component"].notna()].merge(pods, on=["day", "namespace", "pod"])
    kills = owned.groupby(["namespace", "workload", "component"])["oom_kills"].sum()
    usage = now.usage().groupby(["namespace", "workload", "component"])
    periods = usage[["periods", "throttled_periods"]].sum()
    for row in shown.itertuples():
        key = (*row.name.split("/"), row.component)
        assert row.oom_kills == kills[key]
        share = periods.loc[key, "throttled_periods"] / periods.loc[key, "periods"]
        assert row.throttled_share == pytest.approx(share, abs=1e-5)
    return len(shown)
