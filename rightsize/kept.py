"""What was computed, kept on disk: JSON that is sealed with a key of the user's own, and checked by type.

What is read was written by this user on this machine, and is nothing that could run. Anything else is
computed anew. The name of a file says everything that its content follows from.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import platform
import secrets
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import platformdirs
from pydantic import TypeAdapter

import rightsize
from rightsize.border import create_file, replace_file
from rightsize.data_files import data_file

Answer = TypeVar("Answer")

_MOST = 48
"""Answers that are kept in a folder; the ones that were not used for longest go."""
_LARGEST_BYTES = 512 * 2**20
_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "pyarrow")


def kept(place: Path, kind: TypeAdapter[Answer], compute: Callable[[], Answer]) -> Answer:
    """Return the answer in a file, or compute it and keep it there."""
    found = _read(place, kind)
    if found is None:
        found = compute()
        with contextlib.suppress(ValueError):  # An answer that JSON does not carry is no fault.
            body = kind.dump_json(found)
            again = kind.validate_json(body, strict=True)
            alike = kind.dump_python(again) == kind.dump_python(found)
            if alike and kind.dump_json(again) == body:
                found = again  # The same down to its bytes (an int where a float may be).
                with contextlib.suppress(OSError):  # Neither is a folder that cannot be written.
                    _write(place, body)
    return found


def user_folder(name: str) -> Path:
    """A folder of the user's own for what is kept; it may not exist yet."""
    return Path(platformdirs.user_cache_dir("rightsize")) / name


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


def _write(place: Path, body: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    replace_file(place, _seal(place.name, body) + b"\n" + body)
    kept = sorted(place.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for old in kept[:-_MOST]:
        old.unlink(missing_ok=True)


def _seal(name: str, body: bytes) -> bytes:
    return hmac.new(_key(), name.encode() + b"\0" + body, "sha256").hexdigest().encode()


def _key() -> bytes:
    """The user's own key, made on first use; OSError where the user has no folder for it."""
    path = user_folder("answers.key")
    if not path.exists():
        # Of two that make a key, the second takes the first one's.
        with contextlib.suppress(FileExistsError):
            create_file(path, secrets.token_bytes(32), 0o600)
    key = path.read_bytes()
    if len(key) != 32:
        raise OSError(f"{path} is no key")
    return key
