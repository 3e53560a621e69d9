"""A folder of objects behind any URL that fsspec knows: a local folder, S3, and what speaks like it.

Two promises of such a store are used: an object is visible as a whole or not at all, and one can be
created on the condition that none of its name is there. Nothing is renamed, locked or listed twice.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from rightsize.border import create_file, printable, replace_file
from rightsize.errors import StoreError, StoreUnreachableError, UsageError
from rightsize.secrets import excerpt, register_address

_CONDITIONAL = frozenset({"file", "local", "s3", "s3a", "gs", "gcs", "abfs", "az"})
"""Protocols of which fsspec's mode `create` is a conditional write of the store; of any other it looks
first and writes then, and two writers would both believe to be the one."""
_ATTEMPTS = 8
"""Of one S3 request that is told to come later: botocore waits up to 1, 2, 4, 8, 16 and then 20 s in
between, over half a minute. Where no answer comes, `BoundedSession` ends it."""
LARGEST_OBJECT = 512 * 2**20
"""Bytes that are read at once."""
_LARGEST_DAYS = 256 * 2**20
"""Bytes of small objects that are read together."""
_HINT = (
    "run it again when the store answers: what is there is not done twice; "
    "docs/fleet.md says what it has to allow"
)


class ObjectStore:
    """Objects by their path below a URL.

    Parameters
    ----------
    url : str
        Of a folder: a path, or such as `s3://bucket/prefix`.

    Raises
    ------
    UsageError
        If fsspec is not installed, or the store has no conditional write.
    """

    def __init__(self, url: str) -> None:
        register_address(url)
        self.url = url.rstrip("/")
        protocol = url.partition("://")[0] if "://" in url else "file"
        if protocol not in _CONDITIONAL:
            raise UsageError(
                f"no store is known behind {protocol}://",
                hint=f"use a folder, or one of {', '.join(sorted(_CONDITIONAL))}",
            )
        self.is_local = protocol in ("file", "local")

    def __getstate__(self) -> dict[str, object]:
        # Connections stay where they are.
        return {"url": self.url, "is_local": self.is_local}

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise UsageError(
                "fsspec is not installed", hint="pip install 'rightsize[fleet]'"
            ) from error
        options: dict[str, Any] = {} if self.is_local else {"use_listings_cache": False}
        with self._faults(""):
            if self._is_s3:
                options |= _s3_options()
            fs, root = url_to_fs(self.url, **options)
            if self._is_s3:
                fs.retries = 1  # On top of botocore's.
        return fs, str(root).rstrip("/")

    @property
    def _is_s3(self) -> bool:
        return self.url.startswith("s3")

    def read(
        self,
        path: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most: int = LARGEST_OBJECT,
    ) -> bytes:
        """Bytes of an object, or those from `start` to before `end`; not more than `most`.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        StoreError
            If the store cannot be read.
        """
        fs, root = self._opened
        with self._faults(path, absent=True):
            if start is None and end is None:
                start, end = 0, int(fs.size(f"{root}/{path}") or 0)
            if (end or 0) - (start or 0) > most:
                raise StoreError(f"is larger than {most >> 20} MiB")
            if start == end:
                return b""
            return bytes(fs.cat_file(f"{root}/{path}", start=start, end=end))

    def read_all(self, sizes: Mapping[str, int]) -> dict[str, bytes]:
        """Small objects of known sizes, several at a time where the store allows it.

        Raises
        ------
        StoreError
            If one is not there.
        """
        fs, root = self._opened
        if not sizes:
            return {}
        with self._faults(next(iter(sizes))):
            if sum(sizes.values()) > _LARGEST_DAYS:
                raise StoreError(f"with those beside it, is larger than {_LARGEST_DAYS >> 20} MiB")
            names = [f"{root}/{path}" for path in sizes]
            found = fs.cat_ranges(names, [0] * len(names), list(sizes.values()), on_error="raise")
        return {path: bytes(content) for path, content in zip(sizes, found, strict=True)}

    def create(self, path: str, content: bytes) -> bool:
        """Write an object if none of its name is there; say whether it was written.

        Raises
        ------
        StoreError
            If the store cannot be written.
        """
        fs, root = self._opened
        with self._faults(path):
            try:
                if self.is_local:
                    create_file(Path(f"{root}/{path}"), content)
                else:
                    fs.pipe_file(f"{root}/{path}", content, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                # How s3fs names a precondition that failed, and another write under way.
                if getattr(error, "errno", None) is None and _is_taken(error):
                    return False
                raise
        return True

    def put(self, path: str, content: bytes) -> None:
        """Write an object, or put it in the place of another of its name.

        Raises
        ------
        StoreError
            If the store cannot be written.
        """
        fs, root = self._opened
        with self._faults(path):
            if self.is_local:
                place = Path(f"{root}/{path}")
                place.parent.mkdir(parents=True, exist_ok=True)
                replace_file(place, content)
            else:
                fs.pipe_file(f"{root}/{path}", content)

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of each object in a folder by its name; none where no folder is."""
        fs, root = self._opened
        with self._faults(folder):
            try:
                found = fs.ls(f"{root}/{folder}", detail=True)
            except FileNotFoundError as error:
                if _said(error) is not None:  # There is no such bucket.
                    raise StoreError(f"is not there ({_short(error)})") from error
                return {}
        begin = f"{root}/{folder}/"
        return {
            about["name"].removeprefix(begin): int(about["size"] or 0)
            for about in found
            if about["name"].startswith(begin) and about["type"] != "directory"
        }

    def folders(self) -> list[str]:
        """Names of the folders at the top."""
        fs, root = self._opened
        with self._faults(""):
            try:
                found = fs.ls(root, detail=True)
            except FileNotFoundError:
                return []
        names = (about["name"].rstrip("/") for about in found if about["type"] == "directory")
        return sorted(name.rpartition("/")[2] for name in names)

    @contextlib.contextmanager
    def _faults(self, path: str, *, absent: bool = False) -> Iterator[None]:
        """Whatever a driver raises is a fault of the store, with its place."""
        place = f"{self.url}/{path}" if path else self.url
        try:
            yield
        except Exception as error:
            if absent and isinstance(error, FileNotFoundError):
                raise
            if isinstance(error, StoreError):
                raise type(error)(f"{place}: {error.what}", hint=error.hint or _HINT) from error
            if type(error).__module__ == "botocore.exceptions" and not hasattr(error, "response"):
                # What it knows without having asked: no credentials, no such profile.
                raise StoreUnreachableError(
                    f"{place}: cannot be asked ({_short(error)})",
                    hint="set AWS_PROFILE or sign in, and check with aws sts get-caller-identity",
                ) from error
            raise StoreError(f"{place}: {_short(error)}", hint=_HINT) from error


def _s3_options() -> dict[str, Any]:
    from rightsize.snapshot.store_transport import BoundedSession

    return {
        # Part of what fsspec knows an opened store by.
        "endpoint_url": os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"),
        "config_kwargs": {
            "retries": {"max_attempts": _ATTEMPTS, "mode": "standard"},
            "connect_timeout": 5,
            "read_timeout": 600,  # The session's own bounds are narrower.
            "http_session_cls": BoundedSession,
        },
    }


def _short(error: Exception) -> str:
    said = excerpt(" ".join(printable(error).split()), 300)
    if isinstance(error, LookupError | ValueError | TypeError):
        return f"its answer cannot be read ({type(error).__name__}: {said})"
    return said or type(error).__name__


def _is_taken(error: OSError) -> bool:
    return _said(error) in ("PreconditionFailed", "ConditionalRequestConflict")


def _said(error: OSError) -> object:
    """The code of S3's answer behind an error of s3fs; None where it gave none."""
    cause: Any = error.__cause__
    response = getattr(cause, "response", None)
    return (response or {}).get("Error", {}).get("Code")


class ReadCache:
    """What was read of a store, as files in a local folder, up to `most` bytes.

    The oldest reads go first. Each process counts what it writes itself, so several may together be
    above by a tenth of `most` each.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self._unchecked = most

    def read(self, store: ObjectStore, path: str, start: int, end: int) -> bytes:
        """Bytes of an object whose name says its content, from here or from the store."""
        name = path.rpartition("/")[2].partition(".")[0]
        kept = self.folder / name[:2] / f"{name}.{start}-{end}"
        with contextlib.suppress(OSError):
            content = kept.read_bytes()
            if len(content) == end - start:
                os.utime(kept)
                return content
        content = store.read(path, start, end)
        with contextlib.suppress(OSError):  # A full disk is a cache of nothing.
            kept.parent.mkdir(parents=True, exist_ok=True)
            replace_file(kept, content, lasting=False)
            self._unchecked += len(content)
        if self._unchecked >= self.most / 10:
            self._unchecked = 0
            self._prune()
        return content

    def _prune(self) -> None:
        files = []
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(OSError):
                about = path.stat()
                files.append((about.st_mtime_ns, about.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.most:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
