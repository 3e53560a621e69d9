"""A finding's fix put where a reader would put it, so that the file with it can be audited again."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator

import yaml

from rightsize.audit.model import Finding

_STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[\]]+)')
Step = str | int


def steps_of(path: str) -> list[Step]:
    """`a.b[0]["c.d"]` as steps."""
    return [m[1] or (int(m[2]) if m[2] else m[3]) for m in _STEP.finditer(path)]


def edits(text: str, finding: Finding) -> Iterator[str]:
    """The file with the fix, once for each place where it could be meant."""
    if _is_lines(text, finding):
        yield from _lines(text, finding)
        return
    spans = [node for node in yaml.compose_all(text, yaml.SafeLoader) if node is not None]
    starts = [node.start_mark.line + 1 for node in spans]
    number = max((i for i, line in enumerate(starts) if line <= finding.place.line), default=0)
    documents = [one for one in yaml.safe_load_all(text) if one is not None]
    for edited in _documents(documents[number], finding):
        changed = [*documents[:number], *edited, *documents[number + 1 :]]
        yield yaml.safe_dump_all(changed, sort_keys=False)


def _is_lines(text: str, finding: Finding) -> bool:
    """Whether the place is a line of a text that is no YAML of its own."""
    of_corefile = finding.rule.startswith("coredns") and "parameters" not in finding.place.path
    return of_corefile or not finding.place.file.endswith((".yaml", ".yml"))


def _lines(text: str, finding: Finding) -> Iterator[str]:
    lines = text.split("\n")
    at = finding.place.line - 1
    pad = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    fix = finding.fix.split("  # ")[0]
    if fix.startswith("# delete the block"):
        end = next(i for i in range(at, len(lines)) if lines[i].strip() == "}")
        yield "\n".join(lines[:at] + lines[end + 1 :])
    elif fix.startswith("#"):
        yield "\n".join(lines[:at] + lines[at + 1 :])
    else:
        words = lines[at].split(finding.evidence.split(" is ")[0])
        if len(words) > 1:
            yield "\n".join([*lines[:at], fix.join(words), *lines[at + 1 :]])
        written = [pad + one for one in fix.split("\n")]
        yield "\n".join(lines[:at] + written + lines[at + 1 :])
        yield "\n".join([*lines[: at + 1], *written, *lines[at + 1 :]])
        yield "\n".join([*lines[:at], *written, *lines[at:]])


def _documents(document: object, finding: Finding) -> Iterator[list[object]]:
    path = steps_of(finding.place.path)
    if finding.fix.startswith("# delete"):
        yield [_at(document, path, _removed)]
        # "delete values": the key named, of the mapping at the place.
        words = re.findall(r"[\w.]+", finding.fix.removeprefix("# delete"))
        if words:
            yield [_at(document, [*path, words[0]], _removed)]
        return
    values = [one for one in yaml.safe_load_all(finding.fix) if one is not None]
    if not values:
        return
    value, beside = values[0], values[1:]
    if isinstance(value, dict) and "..." in _leaves(value):
        yield [_at(document, path, lambda at, key: _renamed(at, key, next(iter(value))))]
        moved = _at(document, path, _removed)
        yield [_merged(moved, _filled(value, _there(document, path)))]
        yield [_merged(moved, _filled(value, _there(document, [*path, next(iter(value))])))]
    elif isinstance(value, dict):
        document = _without(document, path, finding.fix)
        yield [_at(document, path, lambda at, key: _replaced(at, key, value)), *beside]
        yield [_at(document, path, lambda at, key: _joined(at, key, value)), *beside]
        yield [_merged(_at(document, path, _removed), value), *beside]
        yield [_merged(copy.deepcopy(document), value), *beside]
        yield [document, value, *beside]
        for depth in range(len(path)):
            yield [_at(document, path[:depth], lambda at, key: _joined(at, key, value)), *beside]
        yield [_at(document, path, _removed), value, *beside]
    elif isinstance(value, list):
        yield [_at(document, path, lambda at, key: at.__setitem__(key, value[0]))]
        yield [_at(document, path, lambda at, key: at.__setitem__(key, value))]
        yield [_at(document, path[:-1], lambda at, key: at.__setitem__(key, value[0]))]
    else:
        yield [_at(document, path, lambda at, key: at.__setitem__(key, value))]


def _at(node: object, path: list[Step], change: Callable) -> object:
    """A copy of the document with one place changed, through YAML that is a text's content."""
    if not path:
        whole = [copy.deepcopy(node)]
        change(whole, 0)
        return whole[0] if whole else {}
    found = copy.deepcopy(node)
    if isinstance(found, str):
        inner = yaml.safe_load(found)
        if not isinstance(inner, dict | list):
            return found
        return yaml.safe_dump(_at(inner, path, change), sort_keys=False)
    first, rest = path[0], path[1:]
    inside = isinstance(found, dict) and first in found
    if not inside and not (isinstance(found, list) and isinstance(first, int)):
        return found
    if rest and isinstance(found[first], dict | list | str):
        found[first] = _at(found[first], rest, change)
    else:
        change(found, first)
    return found


def _without(document: object, path: list[Step], fix: str) -> object:
    """The document without what a comment of the fix says to delete beside it."""
    for name in re.findall(r"^# and delete (\w+)$", fix, re.MULTILINE):
        for depth in range(len(path)):
            document = _at(document, [*path[:depth], name], _removed)
    return document


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    return [value]


def _there(document: object, path: list[Step]) -> object:
    """What stands at a path; None where nothing does."""
    for step in path:
        if isinstance(document, str):
            document = yaml.safe_load(document)
        inside = isinstance(document, dict) and step in document
        if not inside and not (isinstance(document, list) and isinstance(step, int)):
            return None
        document = document[step]
    return document


def _filled(value: object, content: object) -> object:
    """The fix with what stood at the place for its ellipsis."""
    if isinstance(value, dict):
        return {key: _filled(one, content) for key, one in value.items()}
    return content if value == "..." else value


def _removed(at: dict | list, key: Step) -> None:
    del at[key]


def _renamed(at: dict, key: str, name: str) -> None:
    at[name] = at.pop(key)


def _replaced(at: dict, key: Step, value: dict) -> None:
    """The keys of the fix in place of the one that is wrong."""
    if isinstance(at, list):
        at[key] = value
        return
    at.pop(key)
    at.update(copy.deepcopy(value))


def _joined(at: dict | list, key: Step, value: dict) -> None:
    """The keys of the fix in the mapping that stands at the place."""
    at[key] = _merged(at[key], value) if isinstance(at[key], dict) else copy.deepcopy(value)


def _merged(node: object, value: dict) -> object:
    if not isinstance(node, dict):
        return value
    for key, one in value.items():
        node[key] = _merged(node[key], one) if isinstance(one, dict) and key in node else one
    return node
