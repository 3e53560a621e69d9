"""Files and commands of the phases that change sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rightsize.border import command, path_part
from rightsize.files.shell import Change, change_script
from rightsize.files.yaml_text import Document, to_yaml
from rightsize.namespaces.manifests import istiod_values, resources_block
from rightsize.patch import PatchedFile, SizeChange
from rightsize.patch.kustomize import by_hand, kustomize_folder
from rightsize.patch.paths import BLOCKS, BOUNDS
from rightsize.results import Component, Recommendation, ScalePoint, Sizes
from rightsize.rollout.canary import FIRST_KUBERNETES
from rightsize.rollout.given_files import deploy_steps
from rightsize.rollout.model import Phase
from rightsize.rollout.parts import ScaleStep, covered, rows_of, scale_steps, waves
from rightsize.rollout.steps import PhaseFiles, Step, helm_back, helm_upgrade, patch, restart
from rightsize.rollout.study import PlanStudy
from rightsize.rollout.values_files import ValuesFiles, annotation_patches

ROOT = "istio-system"
_CHARTS: Mapping[Component, str] = {
    "sidecar": "istiod",
    "istiod": "istiod",
    "waypoint": "istiod",
    "gateway": "gateway",
    "ztunnel": "ztunnel",
    "istio-cni": "cni",
}
_RELEASES = {"istiod": "istiod", "ztunnel": "ztunnel", "cni": "istio-cni"}
"""Names that Istio's own installation guide gives to the releases; a gateway's is its own name."""


def size_files(study: PlanStudy, phase: Phase, folder: str, values: ValuesFiles) -> PhaseFiles:
    """Files, steps and way back of a phase that changes sizes."""
    written = values.write(phase.name)
    files: dict[str, str] = {written.name(file): file.text_after for file in written.files}
    steps, back = deploy_steps(written, folder, study.manifest.istio_version, phase.name)
    steps += [Step(note) for note in written.notes]
    exceptions = [c for c in written.unplaced if c.component == "sidecar" and c.workload]
    asked = [(c, by_hand(c)) for c in exceptions]
    steps += [Step(f"{c.key}: {text}.") for c, text in asked if text is not None]
    exceptions = [c for c, text in asked if text is None]
    if exceptions:
        more, forth, undo = _by_annotation(exceptions, folder)
        files |= more
        steps, back = [*steps, *forth], [*back, *undo]
    for chart, release, namespace, document in _snippets(study, written.unplaced):
        name = f"{path_part(release)}-values.yaml"
        comment = f"{chart} chart: laid over the values in force."
        files[name] = to_yaml([document], comment=comment)
        steps += [
            Step(
                f"Note the revision of release {release}, then lay the values over those in force.",
                (
                    command("helm", "history", release, "-n", namespace, "--max", "3"),
                    helm_upgrade(
                        release, chart, namespace, [f"{folder}/{name}"],
                        istio_version=study.manifest.istio_version, reuse=True,
                    ),
                ),
            )
        ]  # fmt: skip
        back.append(Step(f"Release {release} as it was.", (helm_back(release, namespace),)))
    targets = scale_steps(study.advice, phase.name)
    steps = [*_canary(study, phase), *(_scale(t) for t in targets if t.first), *steps]
    after = [t for t in targets if not t.first]
    if phase.name == "mesh-default":
        order = waves(covered(study.advice))
        scripts = _wave_scripts(order)
        files |= scripts
        for number, (name, rows) in enumerate(zip(scripts, order, strict=True), start=1):
            steps.append(
                Step(
                    f"Wave {number}: {_who(rows)}. Then read the checks.", (f"sh {folder}/{name}",)
                )
            )
            mine = {(row.namespace, row.workload, row.kind) for row in rows}
            moved = [
                t for t in after if (t.point.namespace, t.point.workload, t.point.kind) in mine
            ]
            steps += [_scale(t) for t in moved]
            after = [t for t in after if t not in moved]
        again = tuple(f"sh {folder}/{name}" for name in scripts)
        back.append(Step("Restart again, of the waves that were done:", again))
    steps += [_scale(t) for t in after]
    back += [_scale_back(t) for t in targets]
    return PhaseFiles(tuple(steps), tuple(back), files)


def _canary(study: PlanStudy, phase: Phase) -> list[Step]:
    """The workload with the most pods first, on one of them, where the nodes can resize it."""
    rows = covered(study.advice)
    if phase.name != "mesh-default":
        rows = rows_of(study.advice, phase.name)
    tried = [r for r in rows if r.workload and r.changes and r.running and r.replicas >= 2]
    if not tried or phase.name == "istiod":
        return []
    minor = study.kubernetes_minor
    anew = (
        "Pods made before a change keep their sizes: a new one reaches each pod only when it is made "
        "anew."
    )
    if minor is not None and minor < FIRST_KUBERNETES:
        text = (
            f"No canary: the nodes run Kubernetes 1.{minor}, and a running pod can be resized from "
            f"1.{FIRST_KUBERNETES} on. {anew}"
        )
        return [Step(text)]
    row = max(tried, key=lambda r: (r.replicas, r.key))
    where = f"Where Kubernetes is 1.{FIRST_KUBERNETES} or later, try" if minor is None else "Try"
    return [
        Step(
            f"{where} the size on one running pod of {row.key} first, "
            f"without a restart; go on when it holds. {anew}",
            (
                command("rightsize", "canary", "--workload", row.key),
                "sh rightsize-out/canary/resize.sh",
                "rightsize canary verify rightsize-out/canary",
            ),
        )
    ]


def _by_annotation(
    changes: Sequence[SizeChange], folder: str
) -> tuple[dict[str, str], list[Step], list[Step]]:
    """Patches of pod templates, and patches that set what runs today."""
    forth = annotation_patches(changes)
    today = [
        replace(change, sizes=change.running) for change in changes if change.running is not None
    ]
    undo = annotation_patches([c for c in today if c.sizes != Sizes()])
    files = {str(f.path): f.text_after for f in kustomize_folder(changes)}
    files |= {f"way-back/{f.path.name}": f.text_after for f in undo.values()}
    # What is raised comes first: it is what lacks something.
    order = sorted(changes, key=lambda c: (not _raised(c), str(c.namespace), str(c.workload)))
    files["apply.sh"] = change_script(
        _patches(order, forth, f"{folder}/sidecar-annotations"),
        "One workload after the other: its annotations, then its rollout.",
    )
    files["way-back.sh"] = change_script(
        _patches(order, undo, f"{folder}/way-back"),
        "Sizes as they run today, pinned by annotation whatever set them.",
    )
    steps = [
        Step(
            "From Git: list sidecar-annotations/ under `components:` of the workloads' "
            "kustomization, or put the annotations into their manifests. Without Git:",
            (f"sh {folder}/apply.sh",),
        )
    ]
    back = [Step("The sizes of today, as annotations.", (f"sh {folder}/way-back.sh",))]
    return files, steps, back


def _patches(
    changes: Sequence[SizeChange], files: Mapping[tuple[str, str, str], PatchedFile], folder: str
) -> list[Change]:
    pairs = [(c, files.get((str(c.namespace), str(c.workload), str(c.kind)))) for c in changes]
    return [
        patch(
            str(change.kind),
            str(change.namespace),
            str(change.workload),
            f"{folder}/{file.path.name}",
        )
        for change, file in pairs
        if file is not None
    ]


def _raised(change: SizeChange) -> bool:
    now, then = change.running or Sizes(), change.sizes
    pairs = ((now.cpu_request, then.cpu_request), (now.memory_request, then.memory_request))
    return any(a is not None and b is not None and b > a for a, b in pairs)


def _snippets(
    study: PlanStudy, changes: Sequence[SizeChange]
) -> list[tuple[str, str, str, Document]]:
    """Chart, release, namespace and values of what no given file holds."""
    found: dict[tuple[str, str, str], dict[str, object]] = {}
    for change in changes:
        if change.component == "sidecar" and change.workload is not None:
            continue
        chart = _CHARTS[change.component]
        release = _RELEASES.get(chart, str(change.workload))
        namespace = str(change.namespace or ROOT) if chart != "istiod" else ROOT
        document = _istiod(study, change) if change.component == "istiod" else _values(change)
        merged = found.setdefault((chart, release, namespace), {})
        _merge(merged, document)
    return [(chart, release, place, doc) for (chart, release, place), doc in found.items()]


def _istiod(study: PlanStudy, change: SizeChange) -> Document:
    if study.istiod is None:
        return _values(change)
    row = _row(study.advice.recommendations, change)
    advice = study.istiod if row is None else replace(study.istiod, cpu=row.cpu, memory=row.memory)
    return istiod_values(advice)


def _row(rows: Sequence[Recommendation], change: SizeChange) -> Recommendation | None:
    return next(
        (r for r in rows if (r.component, r.workload) == (change.component, change.workload)), None
    )


def _values(change: SizeChange) -> Document:
    """Values of a chart with the sizes where every release reads them."""
    chart = next(c for c, component in BLOCKS if component == change.component)
    block: object = resources_block(change.sizes)
    for key in reversed(BLOCKS[chart, change.component]):
        block = {key: block}
    document: dict[str, object] = {}
    _merge(document, block)
    bounds = {
        "autoscale_min": change.autoscale_min,
        "autoscale_max": change.autoscale_max,
        "target_cpu": change.target_cpu,
    }
    for slot, path in BOUNDS.get(chart, {}).items():
        value: object = bounds.get(slot)
        if value is not None and chart == change.component:
            for key in reversed(path):
                value = {key: value}
            _merge(document, value)
    return document


def _merge(into: dict[str, object], more: object) -> None:
    assert isinstance(more, Mapping)
    for key, value in more.items():
        held = into.get(str(key))
        if isinstance(value, Mapping) and isinstance(held, dict):
            _merge(held, value)
        elif isinstance(value, Mapping):
            copied: dict[str, object] = {}
            _merge(copied, value)
            into[str(key)] = copied
        else:
            into[str(key)] = value


def _wave_scripts(order: Sequence[Sequence[Recommendation]]) -> dict[str, str]:
    found = {}
    for number, rows in enumerate(order, start=1):
        changes = [restart(row.kind, str(row.namespace), str(row.workload)) for row in rows]
        names = ", ".join(dict.fromkeys(str(row.namespace) for row in rows))
        found[f"restart-wave-{number}.sh"] = change_script(changes, f"Namespaces {names}.")
    return found


def _who(rows: Sequence[Recommendation]) -> str:
    spaces = dict.fromkeys(str(row.namespace) for row in rows)
    pods = sum(row.replicas for row in rows)
    return f"{', '.join(spaces)} (workloads: {len(rows)}, pods: about {pods:.0f})"


def _scale(step: ScaleStep) -> Step:
    """Move one target, whatever else the autoscaler has."""
    point = step.point
    return Step(
        f"Autoscaler {point.namespace}/{point.hpa}: its {point.resource} target from "
        f"{point.target_utilization:g} % to {step.target} %. In Git, change it there.",
        (_target(point, step.target),),
    )


def _scale_back(step: ScaleStep) -> Step:
    point = step.point
    text = f"Autoscaler {point.namespace}/{point.hpa}: {point.target_utilization:g} % again."
    return Step(text, (_target(point, round(point.target_utilization)),))


def _target(point: ScalePoint, percent: int) -> str:
    # A merge patch would replace the whole list of metrics.
    kind, block, more = "Resource", "resource", ""
    if point.container is not None:
        kind, block = "ContainerResource", "containerResource"
        more = f" and .{block}.container == {json.dumps(point.container)}"
    chosen = f'select(.type == "{kind}" and .{block}.name == "{point.resource}"{more})'
    change = f"(.spec.metrics[] | {chosen}).{block}.target.averageUtilization = {percent}"
    get = command("kubectl", "get", "hpa.v2.autoscaling", point.hpa, "-n", point.namespace)
    return f"{get} -o json | {command('jq', change)} | kubectl replace -f -"
