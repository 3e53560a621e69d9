"""What an audit reads and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from rightsize.audit.tree import Node, Place
from rightsize.files.known import Version

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
Chart = Literal["istiod", "gateway", "ztunnel", "cni", "base", "operator"]
"""A chart of Istio's, or the values of an IstioOperator, which reach all of them."""

NOT_SEEN = "not seen in these files"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: where, why, for which releases, and what to write instead."""

    rule: str
    severity: Severity
    place: Place
    evidence: str
    why: str
    versions: str
    fix: str
    """Text that replaces what stands there, or the command to run."""


@dataclass(frozen=True, slots=True)
class Note:
    """A question that the audit could not answer, or did not see."""

    rule: str
    file: str
    text: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A file, or a part of one, that could not be read."""

    file: str
    text: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Values:
    """Values of one chart, wherever they stand; for an IstioOperator, its `spec.values`."""

    chart: Chart
    root: Node
    version: Version | None
    name: str = ""
    wrapper: Node | None = None
    """The node of `defaults` or `_internal_defaults_do_not_set`, where `root` stands in it."""
    shipped: bool = False
    """It is the chart's own values.yaml."""

    def istiod(self, *keys: str) -> Node | None:
        """A setting of istiod below `pilot`, or at the top level, which 1.24 and later read."""
        under_pilot = self.root.get("pilot", *keys)
        if under_pilot is not None or self.chart != "istiod":
            return under_pilot
        return self.root.get(*keys)


@dataclass(frozen=True, slots=True)
class KubeObject:
    """One Kubernetes object."""

    root: Node

    @property
    def kind(self) -> str:
        return self.root.text_of("kind") or ""

    @property
    def group(self) -> str:
        version = self.root.text_of("apiVersion") or ""
        return version.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.root.text_of("metadata", "name") or ""

    @property
    def namespace(self) -> str | None:
        return self.root.text_of("metadata", "namespace")

    @property
    def title(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}".strip()

    @property
    def pod_template(self) -> Node | None:
        """The pod template of a workload; a Pod itself."""
        if self.kind == "Pod":
            return self.root
        if self.kind == "CronJob":
            return self.root.get("spec", "jobTemplate", "spec", "template")
        return self.root.get("spec", "template")


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of a script or a runbook: a pipeline of words."""

    place: Place
    text: str
    pipeline: tuple[tuple[str, ...], ...]
    lines: tuple[tuple[int, ...], ...]
    """Line of each word: a command goes on over several lines with a backslash."""

    def stages(self, program: str) -> Iterator[tuple[str, ...]]:
        """The words after `program`, for each stage of the pipeline that runs it."""
        for words in self.pipeline:
            names = [word.lstrip("$(`\"'").rsplit("/", 1)[-1] for word in words]
            if program in names:
                yield words[names.index(program) + 1 :]

    def place_of(self, fragment: str) -> Place:
        """The place of the first word that holds `fragment`; the command's own without one."""
        for words, lines in zip(self.pipeline, self.lines, strict=True):
            for word, line in zip(words, lines, strict=True):
                if fragment in word:
                    return replace(self.place, line=line)
        return self.place


@dataclass(frozen=True, slots=True)
class CorefileLine:
    """One line of a Corefile: its words, the server block and plugin it stands in."""

    place: Place
    words: tuple[str, ...]
    zones: tuple[str, ...]
    plugin: str | None
    """Plugin with the `{ }` around it; None on the plugin's own line."""


@dataclass(frozen=True, slots=True)
class Corefile:
    place: Place
    lines: tuple[CorefileLine, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate found in a file."""

    place: Place
    subject: str
    expires: datetime
    is_authority: bool = True
    """Whether it may sign others (basic constraints); True where nothing says."""


@dataclass(slots=True)
class Sources:
    """Everything that the files hold, by kind."""

    files: list[str] = field(default_factory=list)
    vendored: set[str] = field(default_factory=set)
    """Files of copies of Istio's own charts: their defaults are not the user's choices."""
    alternatives: set[str] = field(default_factory=set)
    """Files that hold an object which another file of their folder holds, too: they stand for each
    other, and are never applied together."""
    live: set[str] = field(default_factory=set)
    """Names of objects of a cluster, which have no lines."""
    values: list[Values] = field(default_factory=list)
    operators: list[KubeObject] = field(default_factory=list)
    objects: list[KubeObject] = field(default_factory=list)
    mesh_configs: list[Node] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    corefiles: list[Corefile] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    documents: list[Node] = field(default_factory=list)
    """Every YAML document, for rules about a word anywhere."""
    prose: list[tuple[Place, str]] = field(default_factory=list)
    """Lines of runbooks outside of commands."""
    strangers: list[str] = field(default_factory=list)
    """Files of which a document is neither an object nor values proven to be Istio's."""
    problems: list[Problem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    version: Version | None = None
    """The release given, or the only one that the files name."""
    now: datetime = field(default_factory=lambda: datetime.now(tz=UTC))
    """The time against which certificates are judged."""

    @property
    def is_strange(self) -> bool:
        """Whether files were read and nothing in them is anything that the rules look at."""
        seen = self.count or self.commands or self.certificates or self.mesh_configs or self.prose
        return bool(self.strangers) and not seen

    @property
    def count(self) -> int:
        """Values, objects and operators: what a document of the mesh adds to."""
        return len(self.values) + len(self.objects) + len(self.operators) + len(self.corefiles)

    def release(self, values: Values) -> Version | None:
        """The release that reads some values, as far as it is known."""
        return values.version or self.version

    def of_kind(self, *kinds: str) -> Iterator[KubeObject]:
        return (obj for obj in self.objects if obj.kind in kinds)

    def values_of(self, *charts: Chart) -> Iterator[Values]:
        return (values for values in self.values if values.chart in charts)
