"""Answers that were computed before, kept beside the snapshot they are of.

An answer is found by everything that it follows from: the snapshot's manifest with the hash of each
file, the question with its settings, and the program with the libraries that compute. So an answer of
other data, other settings or another release has another name, and none can be stale. The snapshot's
files are held against their hashes before an answer is taken.

What is read was written by this user on this machine: it is sealed with a key from the user's own
folder. It is JSON, checked by type, and nothing that could run. Anything else is computed anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import platform
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import platformdirs
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

import rightsize
from rightsize.data_files import data_file
from rightsize.snapshot import Snapshot
from rightsize.snapshot.manifest import DayRecord
from rightsize.snapshot.summary_table import SUMMARIES
from rightsize.snapshot.table_files import file_in_force, table_file

Answer = TypeVar("Answer")

FOLDER = ".answers"
_MOST = 24
"""Answers that are kept for a snapshot; the ones that were not used for longest go."""
_LARGEST_BYTES = 512 * 2**20
_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "pyarrow")


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
    snapshot : Snapshot
    question : str
        What is asked: the answer's part of the file's name.
    terms : mapping
        All that the answer depends on besides the snapshot and the program, as plain values.
    kind : TypeAdapter
        Of the answer.
    compute : callable
    """
    name = _name(snapshot, question, terms) if snapshot.keeps_answers else None
    if name is None:
        return compute()
    place = snapshot.path / FOLDER / name
    found = _read(place, kind)
    if found is None:
        found = compute()
        # A folder that cannot be written, or an answer that JSON does not carry, is no fault.
        with contextlib.suppress(OSError, ValueError):
            _write(place, kind, found)
    return found


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


@lru_cache(maxsize=1)
def program() -> str:
    """Hash of the package, its data, and the versions of what computes."""
    found = hashlib.sha256()
    package = Path(rightsize.__file__).parent
    for folder in (package, data_file("demo.toml").parent):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                content = path.read_bytes()
                found.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    about = (platform.python_version(), platform.machine(), *map(version, _LIBRARIES))
    found.update("\0".join(about).encode())
    return found.hexdigest()


def _read(place: Path, kind: TypeAdapter[Answer]) -> Answer | None:
    """The answer kept under this name; None if there is none, or it is not ours, or damaged."""
    with contextlib.suppress(OSError, ValueError):
        if place.stat().st_size > _LARGEST_BYTES:
            return None
        seal, _, body = place.read_bytes().partition(b"\n")
        if hmac.compare_digest(seal, _seal(place.name, body)):
            os.utime(place)
            return kind.validate_json(body, strict=True)
    return None


def _write(place: Path, kind: TypeAdapter[Answer], answer: Answer) -> None:
    """Keep an answer that comes back from its bytes as it was."""
    body = kind.dump_json(answer)
    again = kind.validate_json(body, strict=True)
    if again != answer or kind.dump_json(again) != body:
        return
    place.parent.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_seal(place.name, body) + b"\n" + body)
        os.replace(name, place)
    finally:
        Path(name).unlink(missing_ok=True)
    kept = sorted(place.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for old in kept[:-_MOST]:
        old.unlink(missing_ok=True)


def _seal(name: str, body: bytes) -> bytes:
    return hmac.new(_key(), name.encode() + b"\0" + body, "sha256").hexdigest().encode()


def _key() -> bytes:
    """The user's own key, made on first use; OSError where the user has no folder for it."""
    path = Path(platformdirs.user_cache_dir("rightsize")) / "answers.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            # Of two that make a key, the second takes the first one's.
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            os.unlink(name)
    key = path.read_bytes()
    if len(key) != 32:
        raise OSError(f"{path} is no key")
    return key
