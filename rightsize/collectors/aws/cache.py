"""Answers of AWS kept on disk, so that a price list is not fetched for every command."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import platformdirs
import pyarrow as pa
import pyarrow.parquet as pq

from rightsize.border import replace_file
from rightsize.snapshot import TABLES, frame
from rightsize.snapshot.schema import to_arrow

_FETCHED = b"rightsize_fetched_at"


@dataclass(frozen=True, slots=True)
class Answer:
    """A table and when AWS gave it."""

    table: pd.DataFrame
    fetched_at: datetime
    stored: bool
    """True if it comes from the disk."""


class Cache:
    """A folder of answers. What cannot be read counts as absent; what cannot be written is lost.

    Parameters
    ----------
    folder : Path, optional
        The user's cache folder without it.
    refresh : bool
        Ask again whatever is stored.
    """

    def __init__(self, folder: Path | None = None, *, refresh: bool = False) -> None:
        self.folder = folder or Path(platformdirs.user_cache_dir("rightsize")) / "aws"
        self.refresh = refresh

    def get(
        self,
        table: str,
        key: Sequence[str],
        fetch: Callable[[], pd.DataFrame],
        *,
        max_age: timedelta,
    ) -> Answer:
        """Return the stored answer where it is young enough, else fetch and store it.

        `key` says what was asked, of which endpoint, region and account.
        """
        digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:16]
        path = self.folder / f"{key[0]}-{digest}.parquet"
        if not self.refresh:
            found = _read(path, table)
            if found is not None and datetime.now(UTC) - found.fetched_at <= max_age:
                return found
        answer = Answer(fetch(), datetime.now(UTC), False)
        _write(path, table, answer)
        return answer


def _read(path: Path, table: str) -> Answer | None:
    try:
        stored = pq.ParquetFile(path).read()
        fetched = datetime.fromisoformat(stored.schema.metadata[_FETCHED].decode())
        return Answer(frame(table, stored.to_pandas()), fetched, True)
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException):
        return None


def _write(path: Path, table: str, answer: Answer) -> None:
    stored = to_arrow(TABLES[table], answer.table).replace_schema_metadata(
        {_FETCHED: answer.fetched_at.isoformat().encode()}
    )
    content = io.BytesIO()
    pq.write_table(stored, content)
    with suppress(OSError):
        # The bill is private to the account.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, content.getvalue())
