"""Proves a patch by rendering: the chart before and after, compared field by field."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from rightsize.errors import InputFileError, ToolMissingError, VerificationError
from rightsize.quantity import parse_quantity
from rightsize.reporters.patch.charts import CHART_NAMES, Hints, scopes_of_values
from rightsize.reporters.patch.model import SizeChange, dotted
from rightsize.reporters.patch.paths import SIZES
from rightsize.reporters.patch.source import read_source
from rightsize.reporters.patch.tree import Path as Keys
from rightsize.reporters.patch.tree import text_at
from rightsize.results import Component

Leaves = dict[tuple[str, Keys], str]
"""(kind and name, path) -> value, of everything a chart renders."""

CONTAINERS: dict[str, Component] = {"discovery": "istiod", "install-cni": "istio-cni"}
PROXY_BLOCKS: dict[Keys, Component] = {
    ("global", "proxy", "resources"): "sidecar",
    ("global", "waypoint", "resources"): "waypoint",
    ("pilot", "resources"): "istiod",
}
HPA_FIELDS = {
    "minReplicas": "autoscale_min",
    "maxReplicas": "autoscale_max",
    "averageUtilization": "target_cpu",
    "targetAverageUtilization": "target_cpu",
}
VALUES_FIELDS = {
    "autoscaleMin": "autoscale_min",
    "autoscaleMax": "autoscale_max",
    "minReplicas": "autoscale_min",
    "maxReplicas": "autoscale_max",
    "targetAverageUtilization": "target_cpu",
    "targetCPUUtilizationPercentage": "target_cpu",
}
RENDER_SECONDS = 120


@dataclass(frozen=True)
class RenderedSize:
    """One recommended number as Helm renders it."""

    component: Component
    where: str
    before: str | None
    after: str


@dataclass(frozen=True)
class VerificationReport:
    """What rendering showed. `elsewhere` names changes that this chart has no part in."""

    chart: Path
    rendered: tuple[RenderedSize, ...]
    elsewhere: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"Verified by rendering {self.chart}: only recommended numbers differ."]
        for row in self.rendered:
            arrow = (
                row.after if row.before == row.after else f"{row.before or 'unset'} -> {row.after}"
            )
            lines.append(f"  {row.where}: {arrow}")
        if self.elsewhere:
            lines.append(f"  Not part of this chart: {', '.join(self.elsewhere)}")
        return "\n".join(lines)


def verify_chart(
    chart_dir: Path,
    before_files: Sequence[Path],
    after_files: Sequence[Path],
    changes: Sequence[SizeChange],
    helm: str = "helm",
) -> VerificationReport:
    """Render a chart with the files before and after, and compare everything rendered.

    Parameters
    ----------
    chart_dir : pathlib.Path
    before_files, after_files : sequence of pathlib.Path
        Values files in the order of `-f`, position by position. Those of other charts are left out.
    changes : sequence of SizeChange
    helm : str
        Helm 3 or 4: a name on PATH, or a path.

    Raises
    ------
    VerificationError
        Something else changed, or a recommended number did not.
    ToolMissingError
        No Helm.
    """
    program = shutil.which(helm)
    if program is None:
        raise ToolMissingError(f"{helm} is not on PATH", hint="Install Helm 3 or 4.")
    pairs = [
        pair for pair in zip(before_files, after_files, strict=False) if _is_for(chart_dir, pair[0])
    ]
    if not pairs:
        raise VerificationError(f"none of the files is a values file of {chart_dir}")
    release = _release(chart_dir, changes)
    olds, news = zip(*pairs, strict=True)
    before = _render(program, chart_dir, olds, release)
    after = _render(program, chart_dir, news, release)
    unexpected = _unexpected(before, after, changes)
    if unexpected:
        # A chart may render something random; what differs between two equal runs proves nothing.
        again = _render(program, chart_dir, olds, release)
        unexpected = [place for place in unexpected if before.get(place) == again.get(place)]
    if unexpected:
        lines = [_shown(place, before, after) for place in unexpected[:5]]
        raise VerificationError(
            f"{chart_dir}: rendering differs in {len(unexpected)} places that were not "
            "recommended: " + "; ".join(lines),
            hint="Do not roll this out; report the file and the chart's version.",
        )
    return _report(chart_dir, before, after, changes)


def _is_for(chart_dir: Path, file: Path) -> bool:
    """Whether a file holds values of this chart, as far as it tells."""
    metadata = _metadata(chart_dir)
    chart = CHART_NAMES.get(metadata)
    source = read_source(file)
    for number, document in enumerate(source.documents):
        if text_at(document.root, ("kind",)) and text_at(document.root, ("apiVersion",)):
            return False
        try:
            scopes = scopes_of_values(source, number, (), Hints())
        except InputFileError:
            continue
        told = {scope.chart for scope in scopes or () if not scope.prefix}
        if chart is not None and told and chart not in told:
            return False
    return True


def _metadata(chart_dir: Path) -> str:
    file = chart_dir / "Chart.yaml"
    if not file.is_file():
        raise InputFileError("no Chart.yaml: not a chart", path=chart_dir)
    return text_at(read_source(file).documents[0].root, ("name",)) or ""


def _release(chart_dir: Path, changes: Sequence[SizeChange]) -> tuple[str, str]:
    """Release name and namespace: the gateway chart names its workload after the release."""
    component = "gateway" if CHART_NAMES.get(_metadata(chart_dir)) == "gateway" else "istiod"
    change = next((c for c in changes if c.component == component and c.workload), None)
    if change is None or component != "gateway":
        return "rightsize", "istio-system"
    return change.workload or "rightsize", change.namespace or "istio-system"


def _render(helm: str, chart_dir: Path, files: Sequence[Path], release: tuple[str, str]) -> Leaves:
    command = [helm, "template", release[0], str(chart_dir), "--namespace", release[1]]
    for file in files:
        command += ["--values", str(file)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=RENDER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise VerificationError(f"{' '.join(command)}: no answer in {RENDER_SECONDS} s") from error
    if done.returncode != 0:
        raise VerificationError(
            f"{' '.join(command)} failed: {done.stderr.strip()}",
            hint="Charts of Istio's older patches need Helm before 3.18.5; see docs/patching.md.",
        )
    leaves: Leaves = {}
    for number, document in enumerate(YAML(typ="safe").load_all(done.stdout)):
        if isinstance(document, dict):
            name = document.get("metadata", {}).get("name", f"document {number}")
            thing = f"{document.get('kind', 'document')} {name}"
            for path, value in _walk(document, ()):
                leaves[thing, path] = value
    return leaves


def _walk(value: object, path: Keys) -> Iterator[tuple[Keys, str]]:
    """Every leaf; JSON in a string is opened, lists of named things are keyed by name."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _walk(child, (*path, str(key)))
    elif isinstance(value, list) and value:
        for number, child in enumerate(value):
            name = child.get("name") if isinstance(child, dict) else None
            step = name if isinstance(name, str) else number
            yield from _walk(child, (*path, step))
    elif isinstance(value, str) and value.startswith("{") and value.rstrip().endswith("}"):
        try:
            yield from _walk(json.loads(value), path)
        except ValueError:
            yield path, value
    else:
        yield path, json.dumps(value, default=str)


def _unexpected(
    before: Leaves, after: Leaves, changes: Sequence[SizeChange]
) -> list[tuple[str, Keys]]:
    places = [place for place in {**before, **after} if before.get(place) != after.get(place)]
    return [place for place in places if not _explained(place, after, changes)]


def _explained(place: tuple[str, Keys], after: Leaves, changes: Sequence[SizeChange]) -> bool:
    """Whether a change of the place to its new value is one that was recommended."""
    if place not in after:
        # An empty `{}` that a block of sizes now fills.
        return any(
            other[: len(place[1])] == place[1] for thing, other in after if thing == place[0]
        )
    found = _meaning(place, after)
    if found is None:
        return False
    components, slot = found
    wanted = [_number(c, slot) for c in changes if c.component in components]
    return _as_number(after[place]) in [value for value in wanted if value is not None]


def _meaning(place: tuple[str, Keys], leaves: Leaves) -> tuple[tuple[Component, ...], str] | None:
    """The components and the size that a rendered place stands for; None for anything else."""
    thing, path = place
    if thing.startswith("HorizontalPodAutoscaler ") and path[-1] in HPA_FIELDS:
        return ("istiod", "gateway"), HPA_FIELDS[str(path[-1])]
    slot = next((slot for slot, rest in SIZES.items() if path[-2:] == rest), None)
    if slot is not None and "containers" in path:
        component = _component_of(thing, str(path[path.index("containers") + 1]))
        return None if component is None else ((component,), slot)
    if thing.startswith("ConfigMap "):
        if slot is not None:
            block = next(
                (c for keys, c in PROXY_BLOCKS.items() if path[-5:-2][-len(keys) :] == keys), None
            )
            # The copy of the user's own input (from 1.26) may set istiod at the top level.
            return ((block or "istiod",), slot) if path[-3] == "resources" else None
        if path[-1] in VALUES_FIELDS:
            return ("istiod", "gateway"), VALUES_FIELDS[str(path[-1])]
    return None


def _component_of(thing: str, container: str) -> Component | None:
    if container == "istio-proxy":
        return "ztunnel" if re.match(r"DaemonSet .*ztunnel", thing) else "gateway"
    return CONTAINERS.get(container)


def _number(change: SizeChange, slot: str) -> float | None:
    source = change.sizes if slot in SIZES else change
    value: float | None = getattr(source, slot)
    return value


def _as_number(text: str) -> float | None:
    try:
        return parse_quantity(text.strip('"'))
    except ValueError:
        return None


def _report(
    chart_dir: Path, before: Leaves, after: Leaves, changes: Sequence[SizeChange]
) -> VerificationReport:
    """Every recommended number, found in what was rendered; an error for one that is not."""
    rows: list[RenderedSize] = []
    elsewhere = []
    places = [(place, found) for place in after if (found := _effective(place, after))]
    for change in changes:
        own = [
            (place, slot) for place, (component, slot) in places if component == change.component
        ]
        if not own or (change.component == "sidecar" and change.workload is not None):
            elsewhere.append(f"{change.component} {change.key}")
            continue
        for slot in SIZES:
            wanted = _number(change, slot)
            if wanted is None:
                continue
            hits = [place for place, its_slot in own if its_slot == slot]
            if not hits:
                raise VerificationError(f"{chart_dir}: {change.key}: {slot} is not rendered")
            for place in hits:
                if _as_number(after[place]) != wanted:
                    raise VerificationError(
                        f"{chart_dir}: {_shown(place, before, after)}, recommended was {wanted:g}"
                    )
                where = f"{place[0]} {dotted(place[1])}"
                old = before.get(place)
                rows.append(
                    RenderedSize(
                        change.component,
                        where,
                        None if old is None else old.strip('"'),
                        after[place].strip('"'),
                    )
                )
    if not rows:
        raise VerificationError(
            f"{chart_dir} renders nothing that was changed", hint="Is it the chart of these files?"
        )
    return VerificationReport(chart_dir, tuple(rows), tuple(elsewhere))


def _effective(place: tuple[str, Keys], leaves: Leaves) -> tuple[Component, str] | None:
    """Component and size of a place that counts in the cluster: containers, injector values."""
    thing, path = place
    if "containers" in path or (
        thing.startswith("ConfigMap istio-sidecar-injector") and path[:2] == ("data", "values")
    ):
        found = _meaning(place, leaves)
        if found is not None and ("containers" in path or "global" in path):
            return found[0][0], found[1]
    return None


def _shown(place: tuple[str, Keys], before: Leaves, after: Leaves) -> str:
    old, new = before.get(place, "unset"), after.get(place, "unset")
    return f"{place[0]} {dotted(place[1])}: {old} -> {new}"
