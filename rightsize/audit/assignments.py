"""`--set` flags of helm and istioctl, and `kubectl set env`, as the trees they make."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Chart, Command, KubeObject, Sources, Values
from rightsize.audit.tree import Node, Place, from_assignments
from rightsize.audit.yaml_documents import add_mesh_config, add_scope
from rightsize.files.chart_metadata import CHART_NAMES
from rightsize.files.known import Version, parse_version

_SET_FLAGS = ("--set", "--set-string", "--set-json", "-s")


def add_assignments(sources: Sources, command: Command, version: Version | None) -> None:
    """Add the values that a command sets, each at the line of its flag."""
    for words, lines in zip(command.pipeline, command.lines, strict=True):
        names = [word.lstrip("$(").rsplit("/", 1)[-1] for word in words]
        for program in ("istioctl", "helm"):
            if program not in names:
                continue
            rest = words[names.index(program) + 1 :]
            release = version or _release(rest)
            for (key, value), line in _assigned(words, lines):
                place = Place(command.place.file, line, 1, key, "command")
                root = from_assignments([(key, value)], place)
                if program == "istioctl":
                    _add_operator_flags(sources, root, release)
                else:
                    chart = helm_chart(rest)
                    if chart is not None:
                        add_scope(sources, Values(chart, root, release))


def _add_operator_flags(sources: Sources, root: Node, version: Version | None) -> None:
    sources.operators.append(KubeObject(_spec_of(root)))
    values = root.get("values")
    if values is not None and values.entries is not None:
        add_scope(sources, Values("operator", values, version))
    add_mesh_config(sources, root.get("meshConfig"))


def _spec_of(spec: Node) -> Node:
    return Node(spec.place, spec.value_line, entries={"spec": spec})


def _assigned(
    words: tuple[str, ...], lines: tuple[int, ...]
) -> Iterator[tuple[tuple[str, str], int]]:
    flag = False
    for word, line in zip(words, lines, strict=True):
        text = ""
        if flag:
            text = word
        elif word.startswith(("--set=", "--set-string=")):
            text = word.partition("=")[2]
        flag = word in _SET_FLAGS
        for part in _split_commas(text):
            key, equals, value = part.partition("=")
            if equals and key:
                yield (key, value), line


def _split_commas(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for index, char in enumerate(text):
        depth += (char in "{[") - (char in "}]")
        if char == "," and depth == 0 and text[index - 1 : index] != "\\":
            parts.append(current)
            current = ""
        else:
            current += char
    return [part for part in [*parts, current] if part]


def helm_chart(words: tuple[str, ...]) -> Chart | None:
    """The Istio chart that a helm command installs: `istio/istiod`, `.../charts/gateway`."""
    for word in words:
        if word.startswith("-") or "=" in word:
            continue
        parts = word.rstrip("/").split("/")
        if len(parts) > 1 and parts[-1] in CHART_NAMES:
            return CHART_NAMES[parts[-1]]
    return None


def _release(words: tuple[str, ...]) -> Version | None:
    for index, word in enumerate(words):
        if word == "--version" and index + 1 < len(words):
            return parse_version(words[index + 1])
        if word.startswith("--version="):
            return parse_version(word.partition("=")[2])
    return None
