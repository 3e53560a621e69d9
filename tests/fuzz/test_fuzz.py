"""Mutated inputs end in an answer or in one error of ours. `make fuzz` runs them for longer."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rightsize.collectors.objects import read_objects
from rightsize.collectors.prometheus.parse import Grid
from rightsize.collectors.prometheus.range_reading import read_range
from rightsize.errors import RightsizeError
from rightsize.files.tree import FlawError, parse
from rightsize.patch.patcher import patch_files
from rightsize.snapshot import Snapshot
from tests.tiny_mesh import Tiny, tiny_snapshot

SECONDS = float(os.environ.get("RIGHTSIZE_FUZZ_SECONDS", "4"))
YAML = (
    b"global:\n  proxy: &p\n    resources:\n      requests: {cpu: 100m, memory: 128Mi}\npilot: *p\n"
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


def test_prometheus_answers() -> None:
    assert tried(ANSWER, lambda body: read_range([body], Grid(300, 300, 2), server="s"))


@pytest.mark.parametrize(("good", "take"), [(YAML, "patch"), (OBJECTS, "objects"), (YAML, "tree")])
def test_files(good: bytes, take: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"

    def read(body: bytes) -> None:
        file.write_bytes(body)
        if take == "objects":
            read_objects([file])
        elif take == "patch":
            patch_files([file], [])
        else:
            parse(body.decode("utf-8", "replace"))

    assert tried(good, read)


def test_parquet_files(tmp_path: Path) -> None:
    snapshot = tiny_snapshot(tmp_path, Tiny(), days=1)
    (file,) = (tmp_path / "usage").glob("*.parquet")
    assert pq.read_metadata(file).num_rows

    def read(body: bytes) -> None:
        file.write_bytes(body)
        Snapshot(snapshot.path).read("usage")

    assert tried(file.read_bytes(), read)
