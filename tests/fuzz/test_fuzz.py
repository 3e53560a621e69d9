"""Mutated inputs end in an answer or in one error of ours. `make fuzz` runs them for longer."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files
from rightsize.collectors.istio_objects import read_istio_objects
from rightsize.collectors.objects import read_objects
from rightsize.collectors.prometheus.parse import Grid
from rightsize.collectors.prometheus.range_reading import read_range
from rightsize.errors import RightsizeError
from rightsize.files.tree import FlawError, parse
from rightsize.patch.model import PatchedFile, SizeChange
from rightsize.patch.patcher import patch_files
from rightsize.results import Sizes
from rightsize.snapshot import Snapshot
from tests.tiny_mesh import Tiny, tiny_snapshot

SECONDS = float(os.environ.get("RIGHTSIZE_FUZZ_SECONDS", "2"))
NOW = datetime(2026, 9, 1, tzinfo=UTC)
YAML = (
    b"global:\n  proxy: &p\n    resources:\n      requests: {cpu: 100m, memory: 128Mi}\npilot: *p\n"
)
OPERATOR = (
    b"apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  components:\n    pilot:\n"
    b"      k8s:\n        resources:\n          requests: {cpu: 500m, memory: 2Gi}\n        hpaSpec:\n"
    b"          minReplicas: 2\n          maxReplicas: 5\n  values:\n    global:\n      proxy:\n"
    b"        resources:\n          requests: {cpu: 100m, memory: 128Mi}\n"
)
MANIFEST = (
    b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n"
    b"  template:\n    metadata:\n      labels: {app: web}\n      annotations:\n"
    b"        sidecar.istio.io/proxyCPU: 100m\n    spec:\n      containers:\n"
    b"        - {name: app, image: a, ports: [{containerPort: 80}]}\n"
)
OBJECTS = (
    b'{"kind":"List","items":[{"kind":"Pod","metadata":{"name":"a","namespace":"b","labels":{}},'
    b'"spec":{"nodeName":"n"}},{"kind":"Node","metadata":{"name":"n"},"status":{"capacity":'
    b'{"cpu":"4","memory":"8Gi"}}}]}'
)
ANSWER = (
    b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},'
    b'"values":[[300,"1"],[600,"2e3"]]}]}}'
)


def mutated(good: bytes, rng: random.Random) -> bytes:
    bad = bytearray(good)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(bad) + 1)
        piece = rng.choice([b"[", b"{", b'"', b"9" * 30, b"null", b"\x00", b"\xff", b"*p", b": "])
        bad[at : at + rng.randint(0, 6)] = piece if rng.random() < 0.7 else b""
    return bytes(bad)


def tried(good: bytes, take: Callable[[bytes], object]) -> int:
    rng = random.Random(11)
    until, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        count += 1
        with contextlib.suppress(RightsizeError, FlawError):
            take(mutated(good, rng))
    return count


def patched(file: Path) -> tuple[PatchedFile, ...]:
    """With changes for everything that the file may hold."""
    sizes = Sizes(0.05, 1.0, 2**26, 2**28)
    changes = [
        SizeChange("sidecar", None, None, None, sizes),
        SizeChange("istiod", "istio-system", "istiod", "Deployment", sizes, 2, 5, 80),
        SizeChange("sidecar", "shop", "web", "Deployment", sizes, mesh=sizes),
    ]
    return patch_files([file], changes, chart="istiod", istio_version="1.26.0")


def test_prometheus_answers() -> None:
    assert tried(ANSWER, lambda body: read_range([body], Grid(300, 300, 2), server="s"))


@pytest.mark.parametrize(
    ("good", "take"),
    [
        (YAML, patched),
        (OPERATOR, patched),
        (MANIFEST, patched),
        (OBJECTS, lambda file: read_objects([file])),
        (MANIFEST, lambda file: read_istio_objects([file])),
        (YAML, lambda file: parse(file.read_bytes().decode("utf-8", "replace"))),
        (OPERATOR, lambda file: audit(read_files([file]), now=NOW)),
        (MANIFEST, lambda file: audit(read_files([file]), now=NOW)),
    ],
)
def test_files(good: bytes, take: Callable[[Path], object], tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"

    def read(body: bytes) -> None:
        file.write_bytes(body)
        take(file)

    assert tried(good, read)


def test_what_unmutated_files_are_for(tmp_path: Path) -> None:
    """A target that changes nothing, or finds nothing, would be no target."""
    file = tmp_path / "values.yaml"
    for good in (YAML, OPERATOR, MANIFEST):
        file.write_bytes(good)
        assert patched(file)[0].changes


def test_parquet_files(tmp_path: Path) -> None:
    snapshot = tiny_snapshot(tmp_path, Tiny(), days=1)
    (file,) = (tmp_path / "usage").glob("*.parquet")
    assert pq.read_metadata(file).num_rows

    def read(body: bytes) -> None:
        file.write_bytes(body)
        Snapshot(snapshot.path).read("usage")

    assert tried(file.read_bytes(), read)
