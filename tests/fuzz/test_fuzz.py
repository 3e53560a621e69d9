"""Mutated inputs end in an answer or in one error of ours: for a minute in the suite, which the targets
share, and for ten minutes each with `make fuzz`.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files
from rightsize.collectors.billing.read import read_bill
from rightsize.collectors.istio_objects import read_istio_objects
from rightsize.collectors.objects import read_objects
from rightsize.collectors.prometheus.parse import Grid
from rightsize.collectors.prometheus.range_reading import read_range
from rightsize.errors import RightsizeError
from rightsize.files.tree import FlawError, parse
from rightsize.patch.model import PatchedFile, SizeChange
from rightsize.patch.patcher import patch_files
from rightsize.recommend import recommend
from rightsize.results import Sizes
from rightsize.snapshot import TABLES, Snapshot
from rightsize.snapshot.table_files import synced
from tests.servers.hostile_server import peak_mib
from tests.tiny_mesh import Tiny, tiny_snapshot

TARGETS = 12
SECONDS = float(os.environ.get("RIGHTSIZE_FUZZ_SECONDS", 60 / TARGETS))
"""Of this process, for each target."""
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
    until, count = time.process_time() + SECONDS, 0
    while time.process_time() < until:
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


COLUMNS = [
    (table, column) for table in ("usage", "pods", "containers", "nodes")
    for column in TABLES[table].columns
]  # fmt: skip
"""Of a stranger's snapshot: each is altered, and the manifest has the right hashes."""


def values_for(kind: pa.DataType, rng: random.Random) -> object:
    if pa.types.is_floating(kind):
        return rng.choice([None, 0.0, 5e-324, 1e18, 2.0**62, 4095.0, float("nan"), -1.0])
    if pa.types.is_timestamp(kind):
        return rng.choice(
            [None, datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC)]
        )
    if pa.types.is_boolean(kind):
        return rng.choice([None, True, False])
    texts = ["", "x" * 100_000, "nan", "../x", "=1", "m5.metal", "{}", "[1]", '{"a":[null]}']
    return rng.choice([None, '{"app":{"x":5}}', '{"tolerations":[1],"affinity":5}', *texts])


def with_altered_column(folder: Path, table: str, name: str, rng: random.Random) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for day, record in manifest["days"].items():
        path = folder / table / f"{day}.parquet"
        rows = pq.read_table(path, partitioning=None)
        index, kind = rows.column_names.index(name), rows.schema.field(name).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        value, share = values_for(plain, rng), rng.choice([0.1, 1.0])
        column = [value if rng.random() < share else one for one in rows.column(name).to_pylist()]
        altered = pa.array(column, plain)
        altered = altered.dictionary_encode().cast(kind) if plain is not kind else altered
        pq.write_table(rows.set_column(index, rows.schema.field(name), altered), path)
        record["files"][table] = synced(path)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_a_stranger_put_into_a_snapshot(tmp_path: Path) -> None:
    """Its hashes are right: the content alone is hostile."""
    made = tiny_snapshot(tmp_path / "made", Tiny(days=2), days=2, nodes=1).path
    rng, until = random.Random(5), time.process_time() + SECONDS
    while time.process_time() < until:
        folder = Path(shutil.copytree(made, tmp_path / "altered"))
        table, column = rng.choice(COLUMNS)
        with_altered_column(folder, table, column.name, rng)
        with contextlib.suppress(RightsizeError):
            advice = recommend(Snapshot(folder))
            sizes = [size for row in advice.recommendations for size in astuple(row.recommended)]
            assert not [
                size for size in sizes if isinstance(size, float) and not 0 < size < 2.0**63
            ]
        shutil.rmtree(folder)


def varint(number: int) -> bytes:
    """A whole number as Thrift's compact protocol writes it (zigzag)."""
    left, found = ((number << 1) ^ (number >> 63)) & (2**64 - 1), bytearray()
    while left > 127:
        found.append(left & 127 | 128)
        left >>= 7
    return bytes(found) + bytes([left])


def with_another_count(body: bytes, rows: int, rng: random.Random) -> bytes:
    """A Parquet file of which the footer says, in some places, that it has other rows."""
    length = int.from_bytes(body[-8:-4], "little")
    head, *parts = body[-8 - length : -8].split(varint(rows))
    for part in parts:
        reported = rng.choice([rows, 0, 1, rows + 1, 2**31 - 1, 2**40, 2**62, -1])
        head += varint(reported) + part
    return body[: -8 - length] + head + len(head).to_bytes(4, "little") + b"PAR1"


def bomb(kind: pa.DataType, rows: int, rng: random.Random) -> pa.Array:
    """Few bytes of a file that spell out to many, or to what nothing expects there."""
    long = rng.choice(["x" * 2**20, "\0" * 2**22, "{" * 2**16])
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([long]))
    starts = pa.array(range(rows + 1), pa.int32())
    lists = pa.ListArray.from_arrays(starts, pa.ListArray.from_arrays(starts, texts))
    maps = pa.MapArray.from_arrays(starts, pa.array(["k"] * rows), texts)
    return rng.choice(
        [texts, lists, maps, pa.nulls(rows, kind), pa.array([{"a": {"b": 1}}] * rows)]
    )


def hostile_parquet(good: pa.Table, rng: random.Random) -> bytes:
    names, expected = [*good.column_names], good.schema
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(names))
        good = good.set_column(at, names[at], bomb(good.schema.field(at).type, good.num_rows, rng))
    schema = {b"ARROW:schema": base64.b64encode(expected.serialize())}
    out = io.BytesIO()
    pq.write_table(
        good.replace_schema_metadata(rng.choice([None, schema])), out,
        compression=rng.choice(["zstd", "none", "gzip"]), store_schema=rng.random() < 0.5,
        dictionary_pagesize_limit=2**26,
    )  # fmt: skip
    body = out.getvalue()
    if rng.random() < 0.6:
        body = with_another_count(body, good.num_rows, rng)
    return mutated(body, rng) if rng.random() < 0.5 else body


HEADINGS = ("ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "BilledCost", "EffectiveCost",
            "BillingCurrency", "ServiceName", "SkuMeter", "ResourceId", "Tags")  # fmt: skip
ROWS = 9_973
"""So that the count stands nowhere else in the footer."""


def parquet_tried(good: pa.Table, take: Callable[[bytes], object]) -> None:
    # The peak is the process's: other tests before this one may have taken more.
    bound = max(1500.0, peak_mib())
    rng, until = random.Random(3), time.process_time() + SECONDS
    while time.process_time() < until:
        body = hostile_parquet(good, rng)
        with contextlib.suppress(RightsizeError):
            take(body)
    assert peak_mib() <= bound


def test_parquet_files_of_a_snapshot(tmp_path: Path) -> None:
    """With the right hashes, and the rows that the footer says."""
    snapshot = tiny_snapshot(tmp_path, Tiny(), days=1).path
    (file,) = (snapshot / "pods").glob("*.parquet")
    rows = pq.read_table(file, partitioning=None)
    rows = rows.take(pa.array([0] * ROWS))
    manifest = json.loads((snapshot / "manifest.json").read_text())
    (record,) = manifest["days"].values()

    def read(body: bytes) -> None:
        file.write_bytes(body)
        record["files"]["pods"] = synced(file)
        record["rows"]["pods"] = ROWS
        with contextlib.suppress(Exception):
            record["rows"]["pods"] = pq.read_metadata(file).num_rows
        (snapshot / "manifest.json").write_text(json.dumps(manifest))
        Snapshot(snapshot).read("pods")

    parquet_tried(rows, read)


def test_parquet_files_of_an_export(tmp_path: Path) -> None:
    file = tmp_path / "export.parquet"
    day = datetime(2026, 10, 1, tzinfo=UTC)
    row: dict[str, object] = dict.fromkeys(HEADINGS, "x") | {
        "ChargePeriodStart": day, "ChargePeriodEnd": day, "ChargeCategory": "Usage",
        "BilledCost": 1.0, "EffectiveCost": 1.0, "BillingCurrency": "USD", "Tags": "{}",
    }  # fmt: skip
    good = pa.table({name: [value] * ROWS for name, value in row.items()})

    def read(body: bytes) -> None:
        file.write_bytes(body)
        read_bill(str(file), [day.date()], cluster="c", instances=["i-1"])

    pq.write_table(good, file)
    assert len(read_bill(str(file), [day.date()], cluster="c", instances=["x"]).rows)
    parquet_tried(good, read)
