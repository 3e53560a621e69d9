"""The border to the outside: what data must pass to become a path, a command, or text for people.

Names of namespaces and workloads, hosts, answers and messages come from strangers. One function here
stands at each way out; nothing else in the package builds a path, a command line or a line of text
out of data.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import select
import shlex
import shutil
import stat
import tempfile
import time
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from rightsize.errors import OutputError

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_LONGEST_PART = 200
"""Bytes of a path's part; file systems take 255, and endings are added."""
_UNFINISHED = ".unfinished"
_LEFT_OVER = re.compile(r"\..+\.[a-z0-9_]{8}\.unfinished", re.DOTALL)
"""Names as `tempfile` makes them of ours."""
_WAITED_FOR = 5
"""Seconds for the writer of a pipe."""
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that a reader does not see, or that move what they see."""
_CODE_OR_TAG = re.compile(r"(?ms)^\s*```.*?^\s*```$|`[^`\n]+`|<")
_PAGES = frozenset({".md", ".html"})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""OWASP, "CSV Injection", full-width forms included."""


def path_part(name: str) -> str:
    """One part of a path out of a name that comes from data.

    A name that Kubernetes could have stays as it is. In any other, each byte outside of letters,
    digits, `.`, `_` and `-` is written as `%XX`, a leading dot or dash too, so that different names
    stay different, none leaves its folder, and none is an option of a program.
    """
    if _PLAIN.fullmatch(name) and len(name) <= _LONGEST_PART:
        return name
    text = "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "._-") else
        f"%{byte:02X}"
        for byte in name.encode("utf-8", "surrogateescape")
    )  # fmt: skip
    if text.startswith((".", "-")):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if len(text) <= _LONGEST_PART:
        return text or "%"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text[: _LONGEST_PART - 17]}-{digest}"


def below(folder: Path, name: str | PurePosixPath) -> Path:
    """The path `name` below `folder`.

    Raises
    ------
    OutputError
        If it lies anywhere else once links and `..` are resolved.
    """
    path = folder / name
    root = folder.resolve()
    if root not in path.resolve().parents:
        raise OutputError(
            f"{printable(str(name))}: would be written outside of {folder}",
            hint="nothing was written; give another folder with -o",
        )
    return path


def write_files(
    folder: Path,
    files: Mapping[str, str | bytes],
    *,
    before: Callable[[], None] = lambda: None,
) -> list[Path]:
    """Write files by path below a folder, each whole; none of them where there is no room for all.

    Parameters
    ----------
    before : callable
        Called once all are on the disk, before the first takes its place.

    Raises
    ------
    OutputError
        If a path lies outside of the folder, before anything is written, or cannot be written.
    """
    targets = [below(folder, name) for name in files]
    contents = [_as_bytes(*pair) for pair in zip(targets, files.values(), strict=True)]
    _replace_all(dict(zip(targets, contents, strict=True)), lambda _: folder, before)
    return targets


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """The same for files wherever they are, each written beside its own place first.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    _replace_all(contents, lambda target: target.resolve().parent)


def _replace_all(
    contents: Mapping[Path, bytes],
    home: Callable[[Path], Path],
    before: Callable[[], None] = lambda: None,
) -> None:
    with ExitStack() as folders:
        scratch: dict[Path, Path] = {}
        drafts = []
        for number, (target, content) in enumerate(contents.items()):
            place = home(target)
            if place not in scratch:
                with _writing(place):
                    place.mkdir(parents=True, exist_ok=True)
                scratch[place] = folders.enter_context(scratch_folder(place))
            drafts.append(scratch[place] / str(number))
            with _writing(target), drafts[-1].open("wb") as stream:
                _write_down(stream, content)
        before()
        for draft, (target, content) in zip(drafts, contents.items(), strict=True):
            with _writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                if _is_one_file(target.resolve()):
                    _move(draft, target.resolve())
                else:
                    target.write_bytes(content)


def write_text(path: Path, text: str) -> Path:
    """The same as `write_bytes` for text; pages for people have no hidden characters."""
    return write_bytes(path, _as_bytes(path, text))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file and make its folder: beside, synced, then renamed into its place.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    return path


def _as_bytes(path: Path, content: str | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    shown = printable_lines(content) if path.suffix in _PAGES else content
    return shown.encode("utf-8", "surrogateescape")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # A NUL in a path is a ValueError.
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{printable(str(path))}: cannot be written ({reason})",
            hint="give another folder with --out",
        ) from error


def no_room(error: OSError) -> OutputError | None:
    """Our error for one of the system that says that a disk is full; None for any other."""
    if error.errno not in _FULL:
        return None
    place = f"{printable(error.filename)}: " if error.filename else ""
    return OutputError(
        f"{place}cannot be written ({error.strerror})",
        hint="free some room there or below $TMPDIR, or give another folder; what was finished stays",
    )


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file that was given, which may be a device without end.

    Raises
    ------
    OSError
        If it cannot be read, or holds more than `most` bytes.
    """
    with open_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most >> 10:,} KiB")
    return content


def toml_of(content: bytes) -> dict[str, Any]:
    """What a TOML file that was given holds.

    Raises
    ------
    ValueError, RecursionError
        If it is no TOML, or has keys that `tomllib` takes memory without bounds for: it keeps each
        beginning of a dotted key.
    """
    text = content.decode()
    if _LONG_KEY.search(text) or text.count(".") > _MOST_DOTS:
        raise ValueError(
            f"a dotted key has at most {_MOST_KEY_PARTS} parts, a file {_MOST_DOTS:,} dots"
        )
    return tomllib.loads(text)


_MOST_KEY_PARTS, _MOST_DOTS = 32, 200_000
_LONG_KEY = re.compile(
    r"""(?:(?:(?<![\w-])[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*)"""
    rf"{{{_MOST_KEY_PARTS}}}"
)


def open_file(path: Path) -> BinaryIO:
    """Open a file that was given, to read it; a pipe waits some seconds for its writer.

    Raises
    ------
    OSError
        If it cannot be opened, or is a pipe that nothing writes to.
    """
    try:
        return open(path, "rb", opener=_written_to)
    except ValueError as error:  # A NUL in its name.
        raise OSError(errno.EINVAL, str(error)) from error


def _written_to(path: str, flags: int) -> int:
    handle = os.open(path, flags | os.O_NONBLOCK)
    try:
        if stat.S_ISFIFO(os.fstat(handle).st_mode):
            ready = select.poll()
            ready.register(handle, select.POLLIN)
            if not ready.poll(_WAITED_FOR * 1000):
                # After a writer has come and gone, the pipe says whether there is another.
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                if any(found & select.POLLHUP for _, found in ready.poll(0)):
                    raise OSError(errno.EPIPE, "a pipe that nothing writes to")
        os.set_blocking(handle, True)
    except BaseException:
        os.close(handle)
        raise
    return handle


def replace_file(path: Path, content: bytes, *, lasting: bool = True) -> None:
    """Put `content` in the place of a file: a reader sees the old one or the new one, never a part.

    Mode and, where allowed, owner of a file that was there are kept; a link is followed. What is
    no regular file (`/dev/stdout`, a pipe) is written to directly, and so is a file of several
    hard links, which a new file in its place would part. What need not outlast a loss of power
    (`lasting`) does not wait for the disk.
    """
    target = path.resolve()
    if not _is_one_file(target):
        target.write_bytes(content)
        return
    with _draft(target, content, lasting) as draft:
        _move(draft, target)


def _is_one_file(target: Path) -> bool:
    """Whether a new file can take the place of what is there, if anything."""
    return not target.exists() or (target.is_file() and target.stat().st_nlink == 1)


def _move(draft: Path, target: Path) -> None:
    there = target.stat() if target.exists() else None
    if there is not None and (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            os.chown(draft, there.st_uid, there.st_gid)
    os.chmod(draft, _new_mode() if there is None else there.st_mode & 0o7777)
    os.replace(draft, target)


def _write_down(stream: BinaryIO, content: bytes, *, lasting: bool = True) -> None:
    stream.write(content)
    stream.flush()
    if lasting:
        os.fsync(stream.fileno())


def create_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a new file and make its folder, whole or not at all.

    Raises
    ------
    FileExistsError
        If the name is taken, also by somebody who was faster.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _draft(path, content) as draft:
        os.chmod(draft, mode)
        os.link(draft, path)


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for a while, below `parent` or where the system has such; removed at the end.

    One that a killed process has left is removed by the next one.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    with _writing(parent or Path(os.environ.get("TMPDIR", "/tmp"))):
        home = Path(tempfile.gettempdir()) if parent is None else parent
        _remove_left_overs(home)
        folder = Path(tempfile.mkdtemp(dir=home, prefix=".rightsize.", suffix=_UNFINISHED))
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # Not every file system has locks.
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _draft(target: Path, content: bytes, lasting: bool = True) -> Iterator[Path]:
    """The content in a file beside its place; gone afterwards unless it was moved."""
    _remove_left_overs(target.parent)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name[:100]}.", suffix=_UNFINISHED
    )
    try:
        with os.fdopen(handle, "wb") as stream:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            _write_down(stream, content, lasting=lasting)
            yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def is_left_over(name: str) -> bool:
    """Whether something of ours has this name that is not finished, or never will be."""
    return _LEFT_OVER.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _remove_left_overs(folder: Path) -> None:
    """Remove what killed processes have left in a folder: nobody holds its lock. Once a process."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if is_left_over(entry.name):
                with suppress(OSError):
                    _remove_unlocked(Path(entry))


def _remove_unlocked(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if time.time() - os.fstat(handle).st_mtime > 1:  # Else not locked yet.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        os.close(handle)


def printable(text: object) -> str:
    """Text for people on one line: control, bidirectional and invisible characters as escapes."""
    found = str(text)
    if found.isascii() and found.isprintable():
        return found
    return "".join(
        c if unicodedata.category(c) not in _HIDDEN else c.encode("unicode_escape").decode("ascii")
        for c in found
    )


def printable_lines(text: str) -> str:
    """The same for text of several lines; line breaks stay."""
    return "\n".join(printable(line) for line in text.split("\n"))


def markdown_lines(text: str) -> str:
    """A page of Markdown without HTML: `<` outside of code is text."""
    return printable_lines(_CODE_OR_TAG.sub(lambda m: "&lt;" if m[0] == "<" else m[0], text))


def csv_cell(value: object) -> object:
    """A cell that a spreadsheet takes as text and never as a formula."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if value.lstrip(" ").startswith(_FORMULA) else text


def word(text: object) -> str:
    """One word of a command line that is no option, quoted where a shell would read more into it.

    A leading dash is written as in `path_part`: kubectl refuses such a name, and would obey such an
    option (`--server=https://elsewhere` has it send its token there).

    >>> word("--all"), word("a b")
    ('%2D-all', "'a b'")
    """
    shown = printable(text)
    return shlex.quote(f"%2D{shown[1:]}" if shown.startswith("-") else shown)


_OPTIONS = frozenset({
    "-f", "-n", "-p", "--enroll-namespace", "--max", "--overwrite", "--patch-file", "--port", "--raw",
    "--revision", "--timeout", "--timeout=15m", "--type", "--version", "--wait", "--workload", "-v", "--all-namespaces",
})  # fmt: skip
"""All that commands of ours have: any other word with a dash is a name of a stranger's."""
_SWITCHES = frozenset({"--all-namespaces", "--overwrite", "--timeout=15m", "--wait"})


def command(*words: object) -> str:
    """A command line, each word quoted where that is needed; options are those that are known here."""
    shown, named = [], False
    for one in words:
        option = not named and one in _OPTIONS
        shown.append(str(one) if option else word(one))
        named = option and one not in _SWITCHES
    return " ".join(shown)


def remark(text: str) -> list[str]:
    """Comment lines of a script or of YAML: a line break inside of data ends no comment."""
    return [f"# {printable(line)}".rstrip() for line in text.split("\n")]


def promql_string(text: str) -> str:
    """A string of PromQL, in double quotes (prometheus.io, "Querying basics", string literals)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def promql_pattern(text: str) -> str:
    """Text taken literally inside of a PromQL regular expression, without the quotes (RE2)."""
    literal = re.sub(r"([\\+*?()|\[\]{}^$])", r"\\\1", text).replace(".", "[.]")
    return promql_string(literal)[1:-1]


def _new_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
