"""Proves a patch by rendering: the chart before and after, compared field by field."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rightsize.border import scratch_folder
from rightsize.errors import InputFileError, VerificationError
from rightsize.files.chart_metadata import CHART_NAMES
from rightsize.files.charts import Hints, scopes_of_values
from rightsize.files.source import read_source
from rightsize.files.tree import dotted, text_at
from rightsize.patch.groups import BOUNDS, SIZES
from rightsize.patch.meaning import (
    as_number,
    belongs_to,
    effective_size,
    is_resource,
    unexpected_places,
    wanted_number,
)
from rightsize.patch.model import PatchedFile, SizeChange
from rightsize.patch.render import Leaves, Place, find_helm, render
from rightsize.results import Component


@dataclass(frozen=True)
class RenderedSize:
    """One recommended number as Helm renders it."""

    component: Component | None
    where: str
    before: str | None
    after: str


@dataclass(frozen=True)
class VerificationReport:
    """What rendering showed. `elsewhere` names changes that this chart has no part in."""

    chart: Path
    rendered: tuple[RenderedSize, ...]
    elsewhere: tuple[str, ...] = ()
    unchanged: tuple[RenderedSize, ...] = ()
    """Resources of all other rendered containers, and of the injector."""

    def __str__(self) -> str:
        lines = [f"Verified by rendering {self.chart}: only recommended numbers differ."]
        for row in self.rendered:
            arrow = (
                row.after if row.before == row.after else f"{row.before or 'unset'} -> {row.after}"
            )
            lines.append(f"  {row.where}: {arrow}")
        for row in self.unchanged:
            lines.append(f"  {row.where}: {row.after} (no change)")
        if self.elsewhere:
            lines.append(f"  Not part of this chart: {', '.join(self.elsewhere)}")
        return "\n".join(lines)


def verify_chart(
    chart_dir: Path,
    before_files: Sequence[Path],
    after_files: Sequence[Path],
    changes: Sequence[SizeChange],
    helm: str = "helm",
    gateway: str | None = None,
) -> VerificationReport:
    """Render a chart with the files before and after, and compare everything rendered.

    Parameters
    ----------
    before_files, after_files : sequence of pathlib.Path
        Values files in the order of `-f`, position by position. Those of other charts are left out.
    helm : str
        Helm 3 or 4: a name on PATH, or a path.
    gateway : str, optional
        Which gateway (`name` or `namespace/name`) the files are for, where changes name several.

    Raises
    ------
    VerificationError
        Something else changed, or a recommended number did not.
    ToolMissingError
        No Helm.
    """
    program = find_helm(helm)
    if gateway is not None:
        changes = [c for c in changes if c.component != "gateway" or gateway in (c.workload, c.key)]
    pairs = [
        pair for pair in zip(before_files, after_files, strict=False) if _is_for(chart_dir, pair[0])
    ]
    if not pairs:
        raise VerificationError(f"none of the files is a values file of {chart_dir}")
    release = _release(chart_dir, changes)
    with scratch_folder() as folder:
        new_chart, rest = _with_own_values(chart_dir, pairs, folder)
        olds, news = [old for old, _ in rest], [new for _, new in rest]
        try:
            before = render(program, chart_dir, olds, release)
        except VerificationError as error:
            raise VerificationError(f"before any change: {error.what}", hint=error.hint) from error
        after = render(program, new_chart, news, release)
        unexpected = unexpected_places(before, after, changes)
        if unexpected:
            # A chart may render something random: what differs between equal runs proves nothing.
            again = render(program, chart_dir, olds, release)
            unexpected = [place for place in unexpected if before.get(place) == again.get(place)]
    if unexpected:
        lines = [_shown(place, before, after) for place in unexpected[:5]]
        raise VerificationError(
            f"{chart_dir}: rendering differs in {len(unexpected)} places that were not "
            "recommended: " + "; ".join(lines),
            hint="Do not roll this out; report the file and the chart's version.",
        )
    _refuse_requests_above_limits(chart_dir, after)
    return _report(chart_dir, before, after, changes)


def _refuse_requests_above_limits(chart_dir: Path, after: Leaves) -> None:
    """Kubernetes refuses a pod with a request above its limit."""
    for place in after:
        title, path = place
        if not is_resource(place) or path[-2] != "requests":
            continue
        limit = (title, (*path[:-2], "limits", path[-1]))
        asked, bound = as_number(after[place]), as_number(after.get(limit, ""))
        if asked is not None and bound is not None and asked > bound:
            raise VerificationError(
                f"{chart_dir}: {title} {dotted(path)} is {after[place]}, above its limit "
                f"{after[limit]}: Kubernetes refuses such a pod",
                hint="Raise the limit in the values, then patch again.",
            )


def _with_own_values(
    chart_dir: Path, pairs: Sequence[tuple[Path, Path]], folder: Path
) -> tuple[Path, list[tuple[Path, Path]]]:
    """The chart with its own values.yaml patched, if that is among the files, and the others.

    Helm treats a chart's own values unlike those of `-f`: the `global` of a subchart, for one.
    """
    own = (chart_dir / "values.yaml").resolve()
    rest = [pair for pair in pairs if pair[0].resolve() != own]
    if len(rest) == len(pairs):
        return chart_dir, rest
    copy = folder / "chart"
    shutil.copytree(chart_dir, copy)
    shutil.copyfile(next(new for old, new in pairs if old.resolve() == own), copy / "values.yaml")
    return copy, rest


def verify_patched(
    chart_dir: Path,
    patched: Sequence[PatchedFile],
    changes: Sequence[SizeChange],
    helm: str = "helm",
    gateway: str | None = None,
) -> VerificationReport:
    """`verify_chart` before anything is written: renders from copies in a temporary folder."""
    with scratch_folder() as folder:
        before: list[Path] = []
        after: list[Path] = []
        for number, file in enumerate(file for file in patched if file.text_before):
            # The folder's name can show which gateway a file is for.
            inner = Path(str(number), file.path.absolute().parent.name, file.path.name)
            as_given = file.path.is_file() and file.path.read_bytes() == file.text_before.encode()
            old = file.path if as_given else _copy(folder / "before" / inner, file.text_before)
            before.append(old)
            after.append(_copy(folder / "after" / inner, file.text_after))
        return verify_chart(chart_dir, before, after, changes, helm, gateway)


def _copy(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("utf-8"))
    return path


def _is_for(chart_dir: Path, file: Path) -> bool:
    """Whether a file holds values of this chart, as far as it says."""
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
        charts = {scope.chart for scope in scopes or () if not scope.prefix}
        if chart is not None and charts and chart not in charts:
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


def _report(
    chart_dir: Path, before: Leaves, after: Leaves, changes: Sequence[SizeChange]
) -> VerificationReport:
    """Every recommended number, found in what was rendered; an error for one that is not."""
    rows: list[RenderedSize] = []
    elsewhere = []
    places = [(place, found) for place in after if (found := effective_size(place, after))]
    for change in changes:
        own = [(p, slot) for p, (component, slot) in places if belongs_to(p, component, change)]
        if not own:
            elsewhere.append(f"{change.component} {change.key}")
        for slot in (*SIZES, *BOUNDS):
            value = wanted_number(change, slot)
            hits = [place for place, its_slot in own if its_slot == slot]
            if value is None or not own or (slot in BOUNDS and not hits):
                continue
            if not hits:
                raise VerificationError(f"{chart_dir}: {change.key}: {slot} is not rendered")
            rows += [_row(chart_dir, place, before, after, change, value) for place in hits]
    if not rows:
        raise VerificationError(
            f"{chart_dir} renders nothing that was changed", hint="Is it the chart of these files?"
        )
    shown = {row.where for row in rows}
    unchanged = [
        RenderedSize(None, where, after[place].strip('"'), after[place].strip('"'))
        for place in after
        if is_resource(place) and (where := f"{place[0]} {dotted(place[1])}") not in shown
    ]
    return VerificationReport(chart_dir, tuple(rows), tuple(elsewhere), tuple(unchanged))


def _row(
    chart_dir: Path, place: Place, before: Leaves, after: Leaves, change: SizeChange, value: float
) -> RenderedSize:
    number = as_number(after[place])
    # A higher limit or bound of the user's own stays.
    kept = before.get(place) == after[place] and number is not None and number > value
    if number != value and not (kept and _may_stay_higher(place)):
        raise VerificationError(
            f"{chart_dir}: {_shown(place, before, after)}, recommended was {value:g}"
        )
    old = before.get(place)
    old = None if old is None else old.strip('"')
    where = f"{place[0]} {dotted(place[1])}"
    return RenderedSize(change.component, where, old, after[place].strip('"'))


def _may_stay_higher(place: Place) -> bool:
    return "limits" in place[1] or place[1][-1] in ("minReplicas", "maxReplicas")


def _shown(place: Place, before: Leaves, after: Leaves) -> str:
    old, new = before.get(place, "unset"), after.get(place, "unset")
    return f"{place[0]} {dotted(place[1])}: {old} -> {new}"
