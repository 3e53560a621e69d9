"""Snapshots in an object store: a day is two objects, and the second one makes it count.

```
<store>/<cluster>/data/<sha256>.pack            every table of one day, one after the other
<store>/<cluster>/days/<day>.<number>.json      what the day holds, and where it is in its pack
```

The pack is written first, under the hash of its content; then the day, under the next number, on the
condition that nobody wrote that number. The highest number of a day is in force. Whatever kills a
writer, a day is the old one or the new one as a whole, and of two writers one finds out.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson
import platformdirs
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from rightsize.border import path_part
from rightsize.errors import SnapshotError
from rightsize.snapshot.manifest import MANIFEST, DayRecord, Manifest, read_manifest
from rightsize.snapshot.object_store import ObjectStore, ReadCache
from rightsize.snapshot.schema import TABLES
from rightsize.snapshot.store import Snapshot
from rightsize.snapshot.table_files import Opened, no_rows, read_parquet, table_file

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})\.(\d{4,9})\.json")
_HASH = re.compile(r"[0-9a-f]{64}")
_LARGEST_DAY = 8 * 2**20
"""Bytes of a day's description; it takes some kB."""
_SMALL = 128 * 2**10
"""Tables up to this size stand first in a pack, and are read together."""
_WHOLE = 512 * 2**10
"""Bytes up to which a table is read in one piece: that costs less than asking twice."""
CACHE_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Part:
    """Where a table is in its pack."""

    start: int
    size: int


@dataclass(frozen=True)
class Pack:
    """The object that holds a day's tables."""

    layout: Literal[1]
    name: str
    size: int
    together: int
    """Bytes at its beginning with tables that are read together."""
    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        ends = [(part.start, part.size) for part in self.parts.values()]
        if not _HASH.fullmatch(self.name):
            raise ValueError("a pack without a hash")
        if any(s < 0 or n < 0 or s + n > self.size for s, n in (*ends, (0, self.together))):
            raise ValueError("a part outside of its pack")
        if self.together > _SMALL * len(ends):
            raise ValueError("more than small tables that are read together")


_PACKS: TypeAdapter[Pack] = TypeAdapter(Pack)


@dataclass(frozen=True)
class StoredDay:
    """One day as the store describes it; the manifest has this day alone."""

    pack: Pack
    manifest: Manifest

    @property
    def day(self) -> date:
        return next(iter(self.manifest.days))

    @property
    def record(self) -> DayRecord:
        return self.manifest.days[self.day]

    def to_json(self) -> bytes:
        manifest = orjson.loads(self.manifest.to_json())
        body = {"pack": asdict(self.pack), "manifest": manifest}
        return orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n"

    @classmethod
    def from_json(cls, content: bytes, day: date) -> StoredDay:
        """Read a day; ValueError if it is none, or not this one."""
        body = orjson.loads(content)
        if not isinstance(body, dict) or body.keys() != {"pack", "manifest"}:
            raise ValueError("no pack and manifest")
        pack = _PACKS.validate_json(orjson.dumps(body["pack"]), strict=True)
        found = cls(pack, Manifest.from_json(orjson.dumps(body["manifest"]).decode()))
        if list(found.manifest.days) != [day]:
            raise ValueError("of another day")
        return found


def publish(
    store: ObjectStore, cluster: str, folder: Path, day: date, *, region: str | None = None
) -> bool:
    """Put one day of a snapshot folder into the store; say whether it was this writer who did.

    False: another writer has put in a whole day meanwhile, and that one stands. `region` counts where
    the folder knows none.

    Raises
    ------
    SnapshotError
        If the folder or the store holds another mesh under this name.
    StoreError
        If the store cannot be written.
    """
    described = read_manifest(folder)
    record = described.days[day]
    pieces = {name: table_file(folder, name, day).read_bytes() for name in record.files}
    order = sorted(pieces, key=lambda name: (len(pieces[name]) > _SMALL, name))
    parts, start = {}, 0
    for name in order:
        parts[name] = Part(start, len(pieces[name]))
        start += len(pieces[name])
    pack = b"".join(pieces[name] for name in order)
    digest = hashlib.sha256(pack).hexdigest()
    together = sum(size for size in map(len, pieces.values()) if size <= _SMALL)
    found = StoredDay(
        Pack(1, digest, len(pack), together, parts),
        replace(described, days={day: record}, region=described.region or region),
    )
    store.create(f"{cluster}/data/{digest}.pack", pack)
    while True:
        newest = {k: v for k, v in _newest(store, cluster).items() if k == day}
        for there in _read_days(store, cluster, newest).values():
            if other := described.other_mesh(there.manifest):
                raise SnapshotError(
                    f"{store.url}/{cluster}: holds a snapshot of another mesh ({other})",
                    hint="give the cluster another name in fleet.toml, or the matchers it had",
                )
            if there.record == record or (there.record.complete and not record.complete):
                return False
        number = newest[day].number + 1 if newest else 1
        if store.create(_day_path(cluster, day, number), found.to_json()):
            return True


def whole_days(store: ObjectStore, cluster: str, wanted: Iterable[date]) -> set[date]:
    """Those of some days that are in the store, were over, and have their pack.

    Raises
    ------
    StoreError
        If the store cannot be read.
    """
    newest = _newest(store, cluster)
    packs = store.sizes(f"{cluster}/data") if newest else {}
    found = set()
    for day in set(wanted) & newest.keys():
        # Damage is for the next collect to repair.
        with contextlib.suppress(SnapshotError):
            stored = _read_days(store, cluster, {day: newest[day]})[day]
            size = packs.get(f"{stored.pack.name}.pack")
            if stored.record.complete and size == stored.pack.size:
                found.add(day)
    return found


class StoredSnapshot(Snapshot):
    """A cluster's snapshot in a store. Only what is asked for is read, and kept in a bounded cache.

    Parameters
    ----------
    cluster : str
        The folder's name.
    wanted : callable, optional
        Says which days count; descriptions of others are not read.

    Raises
    ------
    SnapshotError
        If the store has no day of the cluster.
    """

    is_local = False

    def __init__(
        self,
        store: ObjectStore,
        cluster: str,
        cache: ReadCache | None = None,
        wanted: Callable[[date], bool] = lambda day: True,
    ) -> None:
        self._store, self._cluster, self._wanted = store, cluster, wanted
        self._cache = cache or ReadCache(cache_folder() / "store", CACHE_BYTES)
        self._days: dict[date, StoredDay] = {}
        place = hashlib.sha256(store.url.encode()).hexdigest()[:12]
        super().__init__(cache_folder() / "fleet" / place / path_part(cluster))
        with contextlib.suppress(OSError):  # Then nothing that is derived is kept.
            self.path.mkdir(parents=True, exist_ok=True)

    @property
    def packs(self) -> list[str]:
        """The hash of each day's content, by day."""
        return [self._days[day].pack.name for day in self.days]

    def _described(self) -> Manifest:
        """What the newest day says, with the records of all."""
        place = f"{self._store.url}/{self._cluster}"
        found = _newest(self._store, self._cluster)
        names = {day: name for day, name in sorted(found.items()) if self._wanted(day)}
        if not names:
            raise SnapshotError(
                f"{place}: no snapshot here"
                if not found
                else f"{place}: none of the days asked for",
                hint="make one with rightsize fleet collect",
            )
        self._days = _read_days(self._store, self._cluster, names)
        newest = self._days[max(self._days)].manifest
        for stored in self._days.values():
            if other := newest.other_mesh(stored.manifest):
                raise SnapshotError(
                    f"{place}: {stored.day} is of another mesh ({other})",
                    hint="remove the days of one of them from the store",
                )
        records = {day: stored.record for day, stored in self._days.items()}
        regions = [stored.manifest.region for stored in self._days.values()]
        region = next(filter(None, reversed(regions)), None)
        return replace(newest, days=records, region=region)

    def _read_file(
        self,
        table: str,
        day: date,
        columns: Sequence[str] | None,
        namespaces: Sequence[str] | None,
    ) -> pa.Table:
        stored, spec = self._days[day], TABLES[table]
        part = stored.pack.parts.get(table)
        if part is None:
            return no_rows(spec, columns)
        damaged = partial(self._damaged, table, day)
        try:
            source = self._opened(stored, part, stored.record.files.get(table), damaged)
            file = Opened(source, part.size, damaged)
            return read_parquet(file, spec, day, stored.record, columns, namespaces)
        except FileNotFoundError as error:
            raise damaged("is gone") from error

    def _opened(self, stored: StoredDay, part: Part, digest: str | None, damaged: Any) -> Any:
        path = f"{self._cluster}/data/{stored.pack.name}.pack"

        def read(start: int, end: int) -> bytes:
            if self._store.is_local:
                return self._store.read(path, start, end)
            return self._cache.read(self._store, path, start, end)

        end = part.start + part.size
        if end <= stored.pack.together:
            content = read(0, stored.pack.together)[part.start : end]
        elif part.size <= _WHOLE:
            content = read(part.start, end)
        else:
            return pa.PythonFile(_Ranges(read, part), mode="r")
        if hashlib.sha256(content).hexdigest() != digest:
            raise damaged("is not the file that was written")
        return pa.BufferReader(content)

    def _damaged(self, table: str, day: date, what: str) -> SnapshotError:
        return SnapshotError(
            f"{self._store.url}/{self._cluster}: {table} of {day}: {what}",
            hint=f"remove {_day_path(self._cluster, day, 1)} and later numbers from the store: the "
            "next rightsize fleet collect fetches the day again",
        )


class _Name(NamedTuple):
    """A day's description in a listing."""

    number: int
    size: int


class _Ranges(io.RawIOBase):
    """A part of an object as a file that is read in the ranges asked for."""

    def __init__(self, read: Any, part: Part) -> None:
        self._read, self._part, self._place = read, part, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, self._part.size)[whence]
        return self._place

    def read(self, size: int = -1) -> bytes:
        end = self._part.size if size < 0 else min(self._place + size, self._part.size)
        if end <= self._place:
            return b""
        start, self._place = self._part.start + self._place, end
        found: bytes = self._read(start, self._part.start + end)
        return found


def open_at(place: str | Path) -> Snapshot:
    """Open a snapshot folder, or a cluster's folder in a store: a path, or such as `s3://b/fleet/prod`.

    Raises
    ------
    SnapshotError
        If there is none.
    """
    # A path has lost one of the two slashes of a URL.
    url = re.fullmatch(r"([a-z0-9]+):/+(.+?)/?", str(place))
    if url is None and (not Path(place, "days").is_dir() or Path(place, MANIFEST).exists()):
        return Snapshot(place)
    whole = f"{url[1]}://{url[2]}" if url else str(Path(place).absolute())
    above, _, cluster = whole.rpartition("/")
    return StoredSnapshot(ObjectStore(above), cluster)


def cache_folder() -> Path:
    return Path(platformdirs.user_cache_dir("rightsize"))


def _newest(store: ObjectStore, cluster: str) -> dict[date, _Name]:
    """The highest number of each day; what is too large to be a description is none."""
    found: dict[date, _Name] = {}
    for name, size in store.sizes(f"{cluster}/days").items():
        if (match := _DAY.fullmatch(name)) and 0 < size <= _LARGEST_DAY:
            with contextlib.suppress(ValueError):  # The 31st of February.
                day = date.fromisoformat(match[1])
                one = _Name(int(match[2]), size)
                found[day] = max(found.get(day, one), one)
    return found


def _day_path(cluster: str, day: date, number: int) -> str:
    return f"{cluster}/days/{day}.{number:04}.json"


def _read_days(
    store: ObjectStore, cluster: str, names: Mapping[date, _Name]
) -> dict[date, StoredDay]:
    paths = {_day_path(cluster, day, name.number): day for day, name in names.items()}
    sizes = dict(zip(paths, (name.size for name in names.values()), strict=True))
    found = {}
    for path, content in store.read_all(sizes).items():
        try:
            found[paths[path]] = StoredDay.from_json(content, paths[path])
        except ValueError as error:
            raise SnapshotError(
                f"{store.url}/{path}: cannot be read ({_gist(error)})",
                hint="remove it from the store: the next rightsize fleet collect fetches the day",
            ) from error
    return found


def _gist(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
