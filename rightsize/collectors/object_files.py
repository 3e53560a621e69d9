"""Kubernetes objects in files: JSON or YAML, lists taken apart, one object in memory at a time.

`kubectl get … -A -o json` of 50,000 pods makes 600 MB. Each object is bounded, and so is what stands
around the objects; a file has no end of its own (a pipe, a device), so all of it is bounded too.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from rightsize.border import open_file
from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.yaml_text import plain_value

Item = Mapping[str, Any]

LARGEST_FILE = 4 * 2**30
_LARGEST_OBJECT = 8 * 2**20
"""Characters: etcd takes 1.5 MiB, which kubectl indents."""
_MOST_PARTS = 200_000
"""Maps of an object in JSON, nodes of one in YAML."""
_CHUNK = 2**20
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:["}]|$)')
_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST_NUMBER = 40
_TOO_LARGE = f"an object of more than {_LARGEST_OBJECT >> 20} MiB or {_MOST_PARTS:,} parts"
_HINT = "make it with kubectl get ... -A -o json (or -o yaml)"


def objects_in(path: Path) -> Iterator[Item]:
    """Yield every object of a file; a `List` is taken apart.

    Raises
    ------
    InputFileError
        With the line, where it cannot be read, is neither JSON nor YAML, or holds anything else
        than Kubernetes objects, or more than a cluster has.
    """
    line = 1
    try:
        with open_file(path) as file:
            start = file.read(2**16)
            reader = (_Json if _JSON.match(start) else _Yaml)(_Stream(start, file).read)
            for item in reader.documents():
                line = reader.line()
                if not isinstance(item, dict) or not isinstance(item.get("kind"), str):
                    raise tree.FlawError("holds something that is no Kubernetes object")
                yield item
            if not reader.lists_or_objects:
                raise tree.FlawError("holds no Kubernetes objects")
    except OSError as error:
        raise InputFileError(f"cannot be read ({error.strerror or error})", path=path) from error
    except UnicodeDecodeError as error:
        raise InputFileError("is not UTF-8 text", path=path, line=line, hint=_HINT) from error
    except _Misplaced as flaw:
        raise InputFileError(
            flaw.what, path=path, line=flaw.line, column=flaw.column, hint=_HINT
        ) from flaw
    except tree.FlawError as flaw:
        raise InputFileError(flaw.what, path=path, line=line, hint=_HINT) from flaw


class _Misplaced(tree.FlawError):
    """A flaw that knows its line and column."""

    def __init__(self, what: str, line: int, column: int) -> None:
        super().__init__(what)
        self.line, self.column = line, column


@dataclass
class _Stream:
    """The bytes of a file, its start already taken."""

    start: bytes
    file: IO[bytes]
    passed: int = 0

    def read(self, size: int) -> bytes:
        found = self.start[:size] or self.file.read(size)
        self.start = self.start[size:]
        self.passed += len(found)
        if self.passed > LARGEST_FILE:
            raise tree.FlawError(f"holds more than {LARGEST_FILE >> 30} GiB")
        return found


class _Maps:
    """Makes the maps of one object."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self.made += 1
        if self.made > _MOST_PARTS:
            raise ValueError(_TOO_LARGE)
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"duplicate key {next(n for n in names if names.count(n) > 1)!r}")
        return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is no number")
    return number


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} digits")
    return int(text)


class _Json:
    """A window over JSON: the standard library reads each value, this what stands around them."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._characters = codecs.getincrementaldecoder("utf-8-sig")()
        self._maps = _Maps()
        self._decode = json.JSONDecoder(
            object_pairs_hook=self._maps,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_whole,
        ).raw_decode
        self._text, self._at = "", 0
        self._line, self._column = 1, 1
        """Of the character at `_at`."""
        self._passed = 0
        """Characters of values so far."""
        self._item = 1
        self.lists_or_objects = 0

    def line(self) -> int:
        return self._item

    def documents(self) -> Iterator[object]:
        """Yield the objects of one document after another."""
        while self._peek():
            yield from self._document()

    def _document(self) -> Iterator[object]:
        head: dict[str, object] = {}
        around = 0
        self._take("{")
        while self._peek() != "}" or head:
            key = self._value()
            if not isinstance(key, str):
                raise self._flaw("is not JSON: a key that is no text", self._at)
            if key in head:
                raise self._flaw(f"duplicate key {key!r}", self._at)
            self._take(":")
            if key == "items" and self._peek() == "[":
                head[key] = None
                yield from self._items()
            else:
                before = self._passed
                head[key] = self._value()
                around += self._passed - before
            if around > _LARGEST_OBJECT:
                raise self._flaw(_TOO_LARGE, self._at)
            if self._peek() != ",":
                break
            self._take(",")
        self._take("}")
        if "kind" not in head:
            raise self._flaw("holds no Kubernetes objects", self._at)
        self.lists_or_objects += 1
        if "items" not in head:
            yield head
        elif head["items"] is not None:
            raise self._flaw("items is no list", self._at)

    def _items(self) -> Iterator[object]:
        self._take("[")
        if self._peek() != "]":
            while True:
                yield self._value()
                if self._peek() != ",":
                    break
                self._take(",")
        self._take("]")

    def _value(self) -> object:
        self._peek()
        while True:
            self._maps.made = 0
            try:
                found, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise self._flaw(f"is not JSON: {error.msg}", error.pos) from error
            except RecursionError as error:
                raise self._flaw("is nested without end", self._at) from error
            except ValueError as error:
                raise self._flaw(str(error), self._at) from error
            else:
                # A number at the window's end may go on.
                if end < len(self._text) or not self._more():
                    if _SURROGATE.search(self._text, self._at, end):
                        self._whole_characters(found)
                    self._item = self._line
                    self._passed += end - self._at
                    self._forward(end)
                    return found

    def _whole_characters(self, value: object) -> None:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise self._flaw("holds half a character", self._at) from error

    def _peek(self) -> str:
        """The next character that is no space; none at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._forward(self._at if space is None else space.end())
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _take(self, mark: str) -> None:
        if self._peek() != mark:
            raise self._flaw(f"is not JSON: expected {mark!r}", self._at)
        self._forward(self._at + 1)

    def _more(self) -> bool:
        """Take more characters, and let go of those that were read; False at the end."""
        if len(self._text) - self._at > _LARGEST_OBJECT:
            raise self._flaw(_TOO_LARGE, self._at)
        more = self._read(max(_CHUNK, len(self._text) - self._at))
        piece = self._characters.decode(more, final=not more)
        if not more:
            return False
        self._text, self._at = self._text[self._at :] + piece, 0
        return True

    def _forward(self, index: int) -> None:
        self._line, self._column = self._place(index)
        self._at = index

    def _place(self, index: int) -> tuple[int, int]:
        breaks = self._text.count("\n", self._at, index)
        if not breaks:
            return self._line, self._column + index - self._at
        return self._line + breaks, index - self._text.rfind("\n", self._at, index)

    def _flaw(self, what: str, index: int) -> _Misplaced:
        return _Misplaced(what, *self._place(index))


class _Yaml:
    """The events of a YAML stream, of which one object at a time becomes a tree."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._source = read
        self._bytes = self._parts = 0
        """Since the last object."""
        self._mark: Any = None
        self.lists_or_objects = 0
        self._composer = tree.Composer("", self._events())

    def line(self) -> int:
        return 1 if self._mark is None else int(self._mark.line) + 1

    def read(self, size: int = -1, /) -> bytes:
        """What libyaml takes its text from."""
        self._bytes += size
        if self._bytes > _LARGEST_OBJECT:
            raise tree.FlawError(_TOO_LARGE)
        return self._source(size)

    def documents(self) -> Iterator[object]:
        """Yield the objects of one document after another."""
        try:
            for event in self._composer.events:
                if isinstance(event, yaml.DocumentStartEvent):
                    yield from self._document()
        except yaml.MarkedYAMLError as error:
            self._mark = error.problem_mark or error.context_mark
            what = f"malformed YAML: {error.problem or error.context}"
            raise _Misplaced(what, self._mark.line + 1, self._mark.column + 1) from error
        except yaml.YAMLError as error:
            what = f"neither JSON nor YAML: {getattr(error, 'reason', error)}"
            raise _Misplaced(what, self.line(), 1) from error
        except tree.FlawError as flaw:
            raise _Misplaced(flaw.what, self.line(), 1) from flaw

    def _document(self) -> Iterator[object]:
        first = next(self._composer.events)
        if not isinstance(first, yaml.MappingStartEvent):
            if (found := self._value(first)) is not None:
                yield found
            return
        head: dict[str, object] = {}
        while not isinstance(event := next(self._composer.events), yaml.MappingEndEvent):
            key = str(self._value(event))
            if key in head:
                raise tree.FlawError(f"duplicate key {key!r}")
            head[key] = None
            following = next(self._composer.events)
            if key == "items" and isinstance(following, yaml.SequenceStartEvent):
                while not isinstance(one := next(self._composer.events), yaml.SequenceEndEvent):
                    self._bytes = self._parts = 0
                    self._composer.forget()
                    yield self._value(one)
            else:
                head[key] = self._value(following)
        self._bytes = self._parts = 0
        self._composer.forget()
        if "kind" not in head:
            raise tree.FlawError("holds no Kubernetes objects")
        self.lists_or_objects += 1
        if "items" not in head:
            yield head
        elif head["items"] is not None:
            raise tree.FlawError("items is no list")

    def _value(self, event: yaml.Event) -> object:
        return plain_value(self._composer.node(event, 0))

    def _events(self) -> Iterator[yaml.Event]:
        for event in yaml.parse(self, Loader=tree.LOADER):
            self._mark = event.start_mark
            self._parts += 1
            if self._parts > _MOST_PARTS:
                raise tree.FlawError(_TOO_LARGE)
            yield event
