"""The plan as a folder: page, JSON, rules, and the files of each phase beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from rightsize.border import is_left_over, read_file, write_files
from rightsize.errors import OutputError
from rightsize.nodes.plan import NodePlan
from rightsize.rollout import mesh_files, node_files
from rightsize.rollout.checks import operator_text, rules_text
from rightsize.rollout.later_phases import scoped_rows
from rightsize.rollout.markdown import STEPS, plan_markdown, steps_markdown
from rightsize.rollout.model import Phase, RolloutPlan
from rightsize.rollout.parts import SIZE_PHASES
from rightsize.rollout.size_files import size_files
from rightsize.rollout.steps import PhaseFiles
from rightsize.rollout.study import PlanStudy
from rightsize.rollout.values_files import GivenFiles, ValuesFiles

SCHEMA_VERSION = 1
PAGE, DATA, RULES = "plan.md", "plan.json", "checks.yaml"


@dataclass(frozen=True)
class PlanDocument:
    """Everything that is written, by path within the folder."""

    plan: RolloutPlan
    phases: Mapping[str, PhaseFiles]

    @classmethod
    def of(
        cls,
        study: PlanStudy,
        plan: RolloutPlan,
        bought: NodePlan | None,
        given: GivenFiles | None = None,
    ) -> PlanDocument:
        """Make the files of every phase.

        Raises
        ------
        InputFileError
            A given file that cannot be patched safely.
        """
        values = ValuesFiles(study.advice, given or GivenFiles())
        made: dict[str, PhaseFiles] = {
            phase.name: _files(study, plan, phase, values, bought) for phase in plan.phases
        }
        return cls(plan, made)

    @property
    def markdown(self) -> str:
        return plan_markdown(self.plan, RULES)

    def steps(self, phase: Phase) -> str:
        """The page of one phase, as `steps.md` of its folder."""
        return steps_markdown(self.plan, phase, self.phases[phase.name], RULES)

    @property
    def files(self) -> Mapping[str, str]:
        """Text by path, plan.json last in the making and first in the folder."""
        found = {PAGE: self.markdown, RULES: rules_text(self.plan)}
        for phase in self.plan.phases:
            folder = self.plan.folder(phase)
            found[f"{folder}/{STEPS}"] = self.steps(phase)
            found |= {f"{folder}/{name}": t for name, t in self.phases[phase.name].files.items()}
        listed = sorted([*found, DATA])
        return {DATA: json.dumps(self.as_dict(listed), indent=2) + "\n", **found}

    def as_dict(self, files: list[str] | None = None) -> dict[str, object]:
        """The JSON document that docs/plan.md describes."""
        plan = self.plan
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "rightsize-plan",
            "cluster": plan.cluster,
            "simulated": plan.simulated,
            "window": {"start": plan.start.isoformat(), "end": plan.end.isoformat()},
            "istio_version": plan.istio_version,
            "region": plan.region,
            "nodes_today": plan.nodes_today,
            "bill_today_usd_per_month": None
            if plan.bill_today is None
            else asdict(plan.bill_today),
            "prices": plan.prices,
            "phases": [self._phase(phase) for phase in plan.phases],
            "not_in_this_plan": [asdict(one) for one in plan.waiting],
            "ahead": list(plan.ahead),
            "notes": list(plan.notes),
            "files": files or [],
        }

    def _phase(self, phase: Phase) -> dict[str, object]:
        made, folder = self.phases[phase.name], self.plan.folder(phase)
        return {
            "folder": folder,
            **asdict(phase),
            "files": sorted(f"{folder}/{name}" for name in made.files),
            "steps": [asdict(step) for step in made.steps],
            "way_back": [asdict(step) for step in made.back],
        }


def write_document(document: PlanDocument, out: Path) -> list[Path]:
    """Write the folder; an earlier plan there is replaced, anything else is left alone.

    Raises
    ------
    OutputError
        Where the folder holds something else than a plan, or cannot be written.
    """
    earlier = check_folder(out)
    # What names the files comes first: of a killed run too, the next one knows whose they are.
    files = {DATA: document.files[DATA], **document.files}
    stale = [name for name in earlier if name not in files]
    return write_files(out, files, before=lambda: _clear(out, stale))


def check_folder(out: Path) -> list[str]:
    """Files of the plan that stands in the folder; empty for a new or empty one.

    Raises
    ------
    OutputError
        Where the folder holds something else than a plan.
    """
    if not out.exists():
        return []
    if not out.is_dir():
        raise OutputError(f"{out}: is a file", hint="give another folder with -o")
    if all(is_left_over(path.name) for path in out.iterdir()):
        return []
    names = _earlier(out / DATA)
    if names is None:
        raise OutputError(
            f"{out}: is not empty and holds no plan of rightsize",
            hint="give a new folder with -o; nothing was written",
        )
    return names


def _clear(out: Path, names: Sequence[str]) -> None:
    """Remove the files of an earlier plan, and only these."""
    root = out.resolve()
    for name in names:
        path = (out / name).resolve()
        if path.is_file() and root in path.parents:
            path.unlink()
    for parent in {(out / name).parent for name in names} - {out}:
        for folder in (parent, parent.parent):
            if folder.is_dir() and root in folder.resolve().parents and not any(folder.iterdir()):
                folder.rmdir()


def _earlier(path: Path) -> list[str] | None:
    """Files of the plan that stands there; None where none does."""
    try:
        found = orjson.loads(read_file(path, 2**26))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("kind") != "rightsize-plan":
        return None
    names = found.get("files")
    return [str(name) for name in names] if isinstance(names, list) else None


def _files(
    study: PlanStudy, plan: RolloutPlan, phase: Phase, values: ValuesFiles, bought: NodePlan | None
) -> PhaseFiles:
    folder = plan.folder(phase)
    if phase.name in SIZE_PHASES:
        return size_files(study, phase, folder, values)
    if phase.name == "baseline":
        return mesh_files.baseline_files(folder, RULES, operator_text(plan))
    if phase.name == "findings":
        return mesh_files.findings_files(study)
    if phase.name == "fewer-nodes":
        after = phase.money.nodes_after if phase.money is not None else 0
        return node_files.fewer_files((plan.nodes_today or 0) - after, folder)
    if phase.name == "buy-nodes" and bought is not None:
        return node_files.buy_files(study, bought, folder)
    by_name = {
        "propagation": mesh_files.propagation_files,
        "discovery-selectors": mesh_files.discovery_files,
        "sidecar-scopes": mesh_files.sidecar_files,
        "destination-rules": mesh_files.rule_files,
        "injection-off": mesh_files.injection_files,
        "shards": mesh_files.sharding_files,
    }
    if phase.name in by_name:
        return by_name[phase.name](study, folder)
    scoped = phase.name == "cut-after-scope" and bool(scoped_rows(study))
    return node_files.measured_files(study, phase.name, folder, restarted=scoped)
