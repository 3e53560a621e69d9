"""Values inside other documents: Argo CD Applications and Flux HelmReleases."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.charts import Hints, Scope
from rightsize.files.classify import chart_named
from rightsize.files.known import parse_version
from rightsize.files.source import Source
from rightsize.files.splice import Edit

SIZING_PARAMETER = re.compile(
    r"resources\.(requests|limits)\.(cpu|memory)$|autoscaleM(in|ax)$|"
    r"autoscaling\.(minReplicas|maxReplicas)$|targetAverageUtilization$|"
    r"targetCPUUtilizationPercentage$"
)


@dataclass(eq=False)
class EmbeddedSource(Source):
    """YAML in a literal block (`values: |`) of another file, line by line."""

    outer: Source | None = None
    node: tree.Scalar | None = None
    path_in_outer: tree.Path = ()
    document_in_outer: int = 0
    starts: list[tuple[int, int]] = field(default_factory=list)
    """For each line: where it starts in this text, and where in the outer text."""
    indent: int = 0

    def error(self, what: str, index: int, *, hint: str | None = None) -> InputFileError:
        if self.outer is None:
            return super().error(what, index, hint=hint)
        return self.outer.error(what, self.outer_index(index), hint=hint)

    def outer_index(self, index: int) -> int:
        line = bisect_right(self.starts, (index, 1 << 60)) - 1
        inner_start, outer_start = self.starts[max(line, 0)]
        return outer_start + index - inner_start

    def outer_edits(self, edits: list[Edit]) -> list[Edit]:
        """The same edits on the outer text, new lines indented like the block."""
        pad = " " * self.indent
        return [
            Edit(
                self.outer_index(edit.start),
                self.outer_index(edit.end),
                re.sub(r"\n(?=[^\r\n])", "\n" + pad, edit.new),
            )
            for edit in edits
        ]


def is_embedding(root: tree.Node | None) -> bool:
    return tree.text_at(root, ("kind",)) in ("Application", "ApplicationSet", "HelmRelease")


def embedded_scopes(source: Source, document: int, hints: Hints) -> list[Scope]:
    """The values of Istio's charts that a document carries inline."""
    root = source.documents[document].root
    if tree.text_at(root, ("kind",)) == "HelmRelease":
        return list(_flux(source, document, hints))
    return list(_argo(source, document, hints))


def _flux(source: Source, document: int, hints: Hints) -> Iterator[Scope]:
    root = source.documents[document].root
    spec = ("spec", "chart", "spec")
    chart = chart_named(
        tree.text_at(root, (*spec, "chart")), tree.text_at(root, (*spec, "sourceRef", "name"))
    )
    if chart is None or tree.mapping_at(root, ("spec", "values")) is None:
        return
    version = hints.version or parse_version(tree.text_at(root, (*spec, "version")))
    name = tree.text_at(root, ("spec", "releaseName")) or tree.text_at(root, ("metadata", "name"))
    yield Scope(source, document, ("spec", "values"), chart, version, name)


def _argo(source: Source, document: int, hints: Hints) -> Iterator[Scope]:
    root = source.documents[document].root
    spec: tree.Path = ("spec",)
    if tree.text_at(root, ("kind",)) == "ApplicationSet":
        spec = ("spec", "template", "spec")
    places: list[tree.Path] = [(*spec, "source")]
    several = tree.lookup(root, (*spec, "sources"))
    if isinstance(several, tree.Sequence):
        places += [(*spec, "sources", number) for number in range(len(several.items))]
    for place in places:
        chart_text = tree.text_at(root, (*place, "chart")) or tree.text_at(root, (*place, "path"))
        chart = chart_named(chart_text, tree.text_at(root, (*place, "repoURL")))
        helm = (*place, "helm")
        if chart is None or tree.mapping_at(root, helm) is None:
            continue
        _refuse_parameters(source, document, (*helm, "parameters"))
        version = hints.version or parse_version(tree.text_at(root, (*place, "targetRevision")))
        name = tree.text_at(root, (*helm, "releaseName")) or tree.text_at(
            root, ("metadata", "name")
        )
        if tree.mapping_at(root, (*helm, "valuesObject")) is not None:
            # Argo CD reads `values` only where there is no `valuesObject`.
            yield Scope(source, document, (*helm, "valuesObject"), chart, version, name)
        elif tree.text_at(root, (*helm, "values")) is not None:
            inner = opened(source, document, (*helm, "values"))
            yield Scope(inner, 0, (), chart, version, name)


def _refuse_parameters(source: Source, document: int, path: tree.Path) -> None:
    """Refuse sizes among `parameters`, which outrank every kind of values."""
    listed = tree.lookup(source.documents[document].root, path)
    items = listed.items if isinstance(listed, tree.Sequence) else []
    for item in items:
        name = tree.text_at(item, ("name",)) or ""
        if SIZING_PARAMETER.search(name):
            raise source.error(
                f"the parameter {name} outranks the inline values",
                item.start,
                hint="Move it into valuesObject, then patch again.",
            )


def opened(source: Source, document: int, path: tree.Path) -> EmbeddedSource:
    """The YAML in a literal block as a source of its own."""
    node = tree.lookup(source.documents[document].root, path)
    if not isinstance(node, tree.Scalar) or node.style != "|":
        raise source.error(
            "inline values that are not a literal block",
            node.start if node else 0,
            hint="Write them as `values: |` or as `valuesObject:`.",
        )
    body_start = source.text.index("\n", node.start) + 1
    lines = re.findall(r"[^\n]*\n|[^\n]+", source.text[body_start : node.end])
    indent = min((len(x) - len(x.lstrip(" ")) for x in lines if x.strip()), default=0)
    text, outer, starts = "", body_start, []
    for line in lines:
        cut = min(indent, len(line) - len(line.lstrip(" ")))
        starts.append((len(text), outer + cut))
        text += line[cut:]
        outer += len(line)
    if text.replace("\r\n", "\n").rstrip("\n") != node.value.rstrip("\n"):
        raise source.error("inline values that cannot be read line by line", node.start)
    inner = EmbeddedSource(
        source.path,
        text,
        outer=source,
        node=node,
        path_in_outer=path,
        document_in_outer=document,
        starts=starts,
        indent=indent,
    )
    with inner.flaws_located():
        inner.documents = tree.parse(text)
    return inner
