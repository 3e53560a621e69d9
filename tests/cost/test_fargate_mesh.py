"""A mesh on Fargate: sizes are charged in steps, and no command takes its nodes for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pandas as pd
import pytest

from rightsize.snapshot import Snapshot
from tests.cli.run import rightsize
from tests.tiny_mesh import MIB, Tiny, tiny_nodes, tiny_snapshot

DAY = pd.Timestamp("2026-09-01", tz="UTC")
QUICK = ("--time-limit", "0.5")
PODS = 6


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Six pods of 0.1 cores beside a proxy that requests 0.2, each on a node of Fargate."""
    shop = Tiny(
        pods=PODS, cpu=(0.004,), memory=(40 * MIB,), cpu_request=0.2, memory_request=300 * MIB,
        cpu_limit=None, app_cpu_request=0.1, app_memory_request=200 * MIB,
    )  # fmt: skip
    names = [f"fargate-ip-10-0-0-{n}.ec2.internal" for n in range(PODS)]
    nodes = tiny_nodes(PODS).assign(node=names, kind="fargate", instance_type=None)
    path = tmp_path_factory.mktemp("fargate") / "snapshot"
    plain = tiny_snapshot(path, shop, more={"nodes": nodes})
    return _placed(plain, names)


def _placed(plain: Snapshot, names: list[str]) -> Snapshot:
    """The snapshot again, with a node for each pod and all seen to the end of their day."""
    from rightsize.snapshot import SnapshotWriter

    with SnapshotWriter(plain.path, plain.manifest) as writer:
        for day in plain.days:
            tables = {
                name: plain.read(name, days=[day]).drop(columns="day", errors="ignore")
                for name in ("usage", "pods", "containers", "nodes")
            }
            start = pd.Timestamp(day, tz="UTC")
            tables["pods"] = tables["pods"].assign(node=names)
            tables["nodes"] = tables["nodes"].assign(
                first_seen=start + pd.Timedelta("5min"), last_seen=start + pd.Timedelta("1D")
            )
            writer.write_day(day, tables, plain.manifest.days[day])
    return Snapshot(plain.path)


def body(snapshot: Snapshot, *command: str) -> dict[str, object]:
    done = rightsize(*command, "--snapshot", str(snapshot.path), "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_recommendation_saves_whole_steps(snapshot: Snapshot) -> None:
    found = body(snapshot, "cost", *QUICK, "--commitment", "0")
    levers = {one["kind"]: one for one in found["levers"]}
    fargate = levers["fargate"]
    # 0.3 cores and 756 MiB are charged 0.5 vCPU and 1 GiB; what remains fits 0.25 vCPU.
    now = PODS * 730 * (0.5 * 0.04048 + 1 * 0.004445)
    assert fargate["figures"]["usd_now"] == pytest.approx(now)
    assert fargate["usd"]["mid"] > 0
    assert fargate["realisable"] is True
    assert fargate["pods_by_namespace"] == {"shop": PODS}
    line = next(one for one in found["today"]["lines"] if one["name"] == "Fargate pods")
    assert line["usd"]["mid"] == pytest.approx(now, abs=0.01)


@pytest.mark.parametrize(
    "command",
    [
        ("nodes", *QUICK, "--replay", "none"),
        ("cost", *QUICK),
        ("ambient",),
    ],
)
def test_no_command_names_an_instance_type(snapshot: Snapshot, command: tuple[str, ...]) -> None:
    done = rightsize(*command, "--snapshot", str(snapshot.path), "--format", "json")
    assert done.returncode == 0, done.stderr
    named = set(_types(json.loads(done.stdout)))
    assert named <= {"fargate"}


def _types(found: object) -> Iterator[str]:
    """Every instance type that is bought or in use; types that were not chosen do not count."""
    if isinstance(found, dict):
        if "instance_type" in found:
            yield str(found["instance_type"])
        found = [one for key, one in found.items() if key != "excuses"]
    for one in found if isinstance(found, list) else ():
        yield from _types(one)
