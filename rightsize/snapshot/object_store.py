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
from rightsize.errors import StoreError, UsageError
from rightsize.secrets import excerpt, register_address

_CONDITIONAL = frozenset({"file", "local", "s3", "s3a", "gs", "gcs", "abfs", "az"})
"""Protocols of which fsspec's mode `create` is a conditional write of the store; of any other it looks
first and writes then, and two writers would both believe to be the one."""
_ATTEMPTS = 10
"""Of one S3 request: botocore waits 1, 2, 4, 8 s and then 20 s at most in between, over a minute."""


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
        options: dict[str, Any] = {"use_listings_cache": False}
        if self.url.startswith("s3"):
            # Part of what fsspec knows an opened store by.
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            options["endpoint_url"] = endpoint
            options["config_kwargs"] = {
                "retries": {"max_attempts": _ATTEMPTS, "mode": "standard"},
                "connect_timeout": 10,
                "read_timeout": 60,
            }
        elif self.is_local:
            options = {}
        with self._faults(""):
            fs, root = url_to_fs(self.url, **options)
        return fs, str(root).rstrip("/")

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Bytes of an object, or those from `start` to before `end`.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        StoreError
            If the store cannot be read.
        """
        fs, root = self._opened
        with self._faults(path, absent=True):
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
        """Bytes of each object below a folder, by its path in there; none where no folder is."""
        fs, root = self._opened
        with self._faults(folder):
            try:
                found = fs.find(f"{root}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
        begin = len(f"{root}/{folder}/")
        return {name[begin:]: int(about["size"] or 0) for name, about in found.items()}

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
            what = excerpt(" ".join(printable(error).split()), 300) or type(error).__name__
            raise StoreError(
                f"{place}: {what}",
                hint="run it again when the store answers: what is there is not done twice; "
                "docs/fleet.md says what it has to allow",
            ) from error


def _is_taken(error: OSError) -> bool:
    cause: Any = error.__cause__
    code = getattr(cause, "response", {}).get("Error", {}).get("Code")
    return code in ("PreconditionFailed", "ConditionalRequestConflict")


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
