"""Answers that were computed before, kept beside the snapshot they are of.

An answer is found by everything that it follows from: the snapshot's manifest with the hash of each
file, the question with its settings, and the program with the libraries that compute. So an answer of
other data, other settings or another release has another name, and none can be stale. The snapshot's
files are held against their hashes before an answer is taken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from rightsize.kept import kept, program
from rightsize.snapshot import Snapshot
from rightsize.snapshot.manifest import DayRecord
from rightsize.snapshot.summary_table import SUMMARIES
from rightsize.snapshot.table_files import file_in_force, table_file

Answer = TypeVar("Answer")

FOLDER = ".answers"


def answered(
    snapshot: Snapshot,
    question: str,
    terms: Mapping[str, object],
    kind: TypeAdapter[Answer],
    compute: Callable[[], Answer],
) -> Answer:
    """Return the answer that was kept, or compute it and keep it.

    Parameters
    ----------
    question : str
        What is asked: the answer's part of the file's name.
    terms : mapping
        All that the answer depends on besides the snapshot and the program, as plain values.
    kind : TypeAdapter
        Of the answer.
    """
    name = _name(snapshot, question, terms) if snapshot.keeps_answers else None
    if name is None:
        return compute()
    return kept(snapshot.path / FOLDER / name, kind, compute)


def _name(snapshot: Snapshot, question: str, terms: Mapping[str, object]) -> str | None:
    """The file's name; None where a hash is missing or a file is not the one that was written."""
    days = snapshot.manifest.days
    named = all(record.rows.keys() <= record.files.keys() for record in days.values())
    if not named or (snapshot.is_local and not _is_whole(snapshot)):
        return None
    manifest = replace(snapshot.manifest, days={day: _plain(one) for day, one in days.items()})
    described = to_jsonable_python(terms)
    parts = (question, json.dumps(described, sort_keys=True), manifest.to_json(), program())
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{question}-{digest}.json"


def _plain(record: DayRecord) -> DayRecord:
    """A day without its summary, which follows from its usage."""
    rows = {name: count for name, count in record.rows.items() if name != SUMMARIES.name}
    files = {name: digest for name, digest in record.files.items() if name != SUMMARIES.name}
    return replace(record, rows=rows, files=files, summary_of=None)


def _is_whole(snapshot: Snapshot) -> bool:
    return all(
        file_in_force(table_file(snapshot.path, name, day), digest) is not None
        for day, record in snapshot.manifest.days.items()
        for name, digest in _plain(record).files.items()
    )
