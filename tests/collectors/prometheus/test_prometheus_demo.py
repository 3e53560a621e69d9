"""The demo mesh served by a real Prometheus and collected equals the generated snapshot."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rightsize.collectors.prometheus import collect
from rightsize.config import PrometheusSettings
from rightsize.demo import DemoParameters, write_demo, write_openmetrics
from rightsize.demo.parameters import midnight
from rightsize.snapshot import TABLES, Snapshot
from tests.servers.prometheus import backfill, running_prometheus

# What no metric tells, so that a collect without an objects file cannot know it.
_UNTOLD = {
    "pods": ["annotations", "labels", "scheduling"],
    "pdbs": ["workload", "min_available", "max_unavailable"],
    "nodes": ["labels", "taints", "provider_id"],
}
_FETCHED = [name for name in TABLES if name in (
    "usage", "pods", "containers", "nodes", "namespaces", "hpas", "pdbs", "control_plane",
    "traffic", "proxies",
)]  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Snapshot, Snapshot]:
    folder: Path = tmp_path_factory.mktemp("demo")
    parameters = DemoParameters.tiny()
    files = write_openmetrics(parameters, folder / "text")
    with running_prometheus(backfill(folder, files)) as address:
        collect(
            PrometheusSettings(url=(address,)),
            out=folder / "collected",
            start=midnight(parameters.start),
            end=midnight(parameters.end + timedelta(days=1)),
        )
    write_demo(folder / "generated", parameters)
    return Snapshot(folder / "collected"), Snapshot(folder / "generated")


@pytest.mark.parametrize("table", _FETCHED)
def test_a_collected_table_equals_the_generated_one(
    table: str, pair: tuple[Snapshot, Snapshot]
) -> None:
    collected, generated = (_comparable(snapshot, table) for snapshot in pair)
    if table == "usage":
        # A start shorter than half a window counts with the next one when it is collected.
        same = np.isclose(collected["cpu"], generated["cpu"], rtol=1e-9)
        assert same.mean() > 0.99
        pods = collected["pod"].to_numpy()
        for rows in (collected, generated):
            rows["cpu"] = rows["cpu"].groupby(pods).transform("sum")
    pd.testing.assert_frame_equal(collected, generated, rtol=1e-9, atol=1e-9)
    assert len(collected) > 0


def _comparable(snapshot: Snapshot, table: str) -> pd.DataFrame:
    rows = snapshot.read(table).drop(columns=_UNTOLD.get(table, []))
    if table == "usage":
        # A window in which a container starts is shorter when it is collected.
        rows["cpu"] *= rows.pop("seconds")
    text = rows.select_dtypes(include="category").columns
    rows = rows.astype(dict.fromkeys(text, object))
    if "labels" in rows:
        # Equal facts, whatever the spaces.
        rows["labels"] = [json.loads(text) for text in rows["labels"]]
    order = [name for name in ("day", *TABLES[table].key) if name in rows]
    return rows.sort_values(order).reset_index(drop=True)
