"""Fields of the specifications of Istio's resources, by kind, from its resource definitions.

`istio_fields.csv.gz` is made by `benchmarks/istio_tables.py` from a checkout of istio/istio.
"""

from __future__ import annotations

import csv
import gzip
from functools import cache

from rightsize.data_files import data_file
from rightsize.files.known import Setting, parse_version


@cache
def resource_fields() -> dict[str, dict[str, Setting]]:
    """Kind -> path -> the releases that have it; `[]` is a list's item, `*` any key, `?` anything."""
    found: dict[str, dict[str, Setting]] = {}
    with gzip.open(data_file("istio_fields.csv.gz"), "rt") as file:
        for row in csv.DictReader(file):
            first, last = parse_version(row["first"]), parse_version(row["last"])
            if first is not None and last is not None:
                setting = Setting(row["path"], first, last)
                found.setdefault(row["kind"], {})[row["path"]] = setting
    return found


@cache
def children(kind: str, path: str) -> tuple[str, ...]:
    """Names of the fields of the mapping at `path`; empty where it takes anything."""
    head = f"{path}."
    names = resource_fields().get(kind, {})
    return tuple(
        rest
        for name in names
        if name.startswith(head) and not set(rest := name.removeprefix(head)) & set(".[?")
    )
