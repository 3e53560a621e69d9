"""YAML that is written anew: what YAML 1.1 would read as another type is quoted.

kubectl, Helm and Kustomize read `no`, `on`, `1e3`, `0x1f` and `1:20` as something else than text;
all of them are legal names of namespaces.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.emitter import Emitter
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.resolver import implicit_resolvers

from rightsize.border import remark
from rightsize.files import tree

Document = Mapping[str, object]

_NOT_TEXT = tuple(pattern for _, _, pattern, _ in implicit_resolvers)
"""Plain scalars that YAML 1.1 or 1.2 reads as another type than text."""


_NOT_TEXT_1_2 = tuple(
    pattern for versions, _, pattern, _ in implicit_resolvers if (1, 2) in versions
)
"""Those that the writer quotes by itself."""


_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


class Quoted(str):
    """Text that is always written in double quotes, as annotations with sizes are."""


class _Representer(SafeRepresenter):
    """Keys in their order, text quoted where it needs to be, no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_quoted(self, data: str) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", str(data), style='"')

    def represent_text(self, data: str) -> ScalarNode:
        style = None
        if looks_like_another_type(data):
            style = "'"
        elif not data.isprintable() and "\n" not in data:
            style = '"'
        elif "\n" in data and all(line.isprintable() for line in data.split("\n")):
            style = "|"
        elif "\n" in data:
            style = '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    def represent_mapping_in_order(self, data: Mapping[object, object]) -> object:
        return self.represent_mapping("tag:yaml.org,2002:map", data.items())


class _Data(SafeRepresenter):
    """The library's own forms; what only YAML 1.1 takes for another type is quoted as well."""

    def represent_data_text(self, data: str) -> ScalarNode:
        own = any(pattern.match(data) for pattern in _NOT_TEXT_1_2)
        style = "'" if looks_like_another_type(data) and not own else None
        if not data.replace("\n", "").isprintable():
            style = '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


class _Emitter(Emitter):
    """The library folds text in double quotes so that another text is read: here it stays on a line."""

    def write_double_quoted(self, text: str, split: bool = True) -> None:
        super().write_double_quoted(text, split=False)


_Data.add_representer(str, _Data.represent_data_text)
_Representer.add_representer(Quoted, _Representer.represent_quoted)
_Representer.add_representer(str, _Representer.represent_text)
_Representer.add_representer(dict, _Representer.represent_mapping_in_order)


def looks_like_another_type(text: str) -> bool:
    """Whether a plain scalar would be read as a number, a boolean, a date or null.

    >>> [looks_like_another_type(text) for text in ("no", "y", "1e3", "0x1f", "1:20", "norway")]
    [True, True, True, True, True, False]
    """
    return any(pattern.match(text) for pattern in _NOT_TEXT)


def from_yaml(text: str) -> list[object]:
    """Every document as plain values, in time and memory that grow with the text.

    Of plain scalars null, booleans and decimal numbers are what they are in JSON, everything else
    is text: `no`, dates, and numbers that no float holds.

    Raises
    ------
    tree.FlawError
        If it is no YAML, or is nested or aliased without end.

    Examples
    --------
    >>> from_yaml("{a: [1, 0.5, no, ~], b: 2026-01-01}")
    [{'a': [1, 0.5, 'no', None], 'b': '2026-01-01'}]
    """
    return [None if one.root is None else plain_value(one.root) for one in tree.parse(text)]


def plain_value(node: tree.Node) -> object:
    """What `from_yaml` makes of a node."""
    node = tree.resolve(node)
    if isinstance(node, tree.Mapping):
        return {
            key: plain_value(held) for key in node.names() if (held := node.get(key)) is not None
        }
    if isinstance(node, tree.Sequence):
        return [plain_value(item) for item in node.items]
    if not isinstance(node, tree.Scalar) or node.is_null:
        return None
    if node.style or node.tag:
        return node.value
    if node.value.lower() in ("true", "false"):
        return node.value.lower() == "true"
    if _WHOLE.fullmatch(node.value):
        return int(node.value)
    if _DECIMAL.fullmatch(node.value) and math.isfinite(number := float(node.value)):
        return number
    return node.value


def to_yaml(documents: Sequence[Document], *, comment: str = "") -> str:
    """Documents as YAML text, `comment` in front; keys keep their order."""
    writer = YAML(typ="safe", pure=True)
    writer.Representer, writer.Emitter = _Representer, _Emitter
    writer.default_flow_style = False
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.width = 100
    writer.allow_unicode = False
    out = io.StringIO()
    for line in remark(comment) if comment else ():
        out.write(f"{line}\n")
    for number, document in enumerate(documents):
        if number:
            out.write("---\n")
        writer.dump(_plain(document), out)
    return out.getvalue()


def data_yaml(document: object) -> str:
    """A document for programs: keys sorted, innermost lists on one line."""
    writer = YAML(typ="safe", pure=True)
    writer.Representer, writer.Emitter = _Data, _Emitter
    writer.allow_unicode = False
    out = io.StringIO()
    writer.dump(document, out)
    return out.getvalue()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
