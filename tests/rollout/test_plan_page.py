"""The page of a tiny mesh, word by word: any change shows in the diff of `tiny_plan.md`.

A change that is meant is written with `python -m tests.rollout.test_plan_page`.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import get_args

import pytest

from rightsize import border
from rightsize.errors import OutputError
from rightsize.rollout.checks import RECORD
from rightsize.rollout.document import DATA, PAGE, RULES, PlanDocument, write_document
from rightsize.rollout.model import PhaseName
from tests.rollout.plan_of_tiny_mesh import tiny_plan

GOLDEN = Path(__file__).with_name("tiny_plan.md")


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> PlanDocument:
    return PlanDocument.of(*tiny_plan(tmp_path_factory.mktemp("mesh") / "s"))


def pages(document: PlanDocument) -> str:
    """The page, and those of the phases after it."""
    return "\n".join([document.markdown, *map(document.steps, document.plan.phases)])


def test_the_pages_are_the_committed_ones(document: PlanDocument) -> None:
    assert pages(document) == GOLDEN.read_text(), (
        "the plan changed; if that is meant, run python -m tests.rollout.test_plan_page"
    )


def test_every_phase_has_checks_a_risk_a_wait_and_a_way_back(document: PlanDocument) -> None:
    for phase in document.plan.phases:
        for part in ("Risk", "Expected saving", "Steps", "Checks", "Wait", "Way back"):
            assert f"**{part}" in document.steps(phase), phase.name


def test_the_plan_itself_is_one_page_without_queries_or_commands(document: PlanDocument) -> None:
    assert len(document.markdown.splitlines()) <= 60
    assert "```" not in document.markdown
    for phase in document.plan.phases:
        assert f"({document.plan.folder(phase)}/steps.md)" in document.markdown


def test_queries_of_checks_are_in_the_rules_alone(document: PlanDocument) -> None:
    for phase in document.plan.phases:
        for check in phase.checks:
            assert check.name in document.steps(phase)
            assert check.expression not in pages(document)


def test_every_file_that_a_command_names_is_written(document: PlanDocument) -> None:
    for phase in document.plan.phases:
        made = document.phases[phase.name]
        for step in (*made.steps, *made.back):
            for command in step.commands:
                for name in re.findall(r"\b\d\d-[a-z-]+/[\w./-]+", command):
                    assert name in document.files, command


def test_json_says_what_the_page_says(document: PlanDocument) -> None:
    found = json.loads(document.files["plan.json"])
    assert found["schema_version"] == 1
    assert sorted(found["files"]) == sorted(document.files)
    for phase in found["phases"]:
        page = document.files[f"{phase['folder']}/steps.md"]
        assert page.startswith(f"# {phase['folder']}\n")
        assert all(f"`{check['name']}`" in page for check in phase["checks"])


def test_a_plan_replaces_an_earlier_one_and_nothing_else(
    document: PlanDocument, tmp_path: Path
) -> None:
    out = tmp_path / "plan"
    write_document(document, out)
    (out / "before").mkdir()
    (out / "before" / "istiod-values.yaml").write_text("kept: true\n")
    listing = json.loads((out / "plan.json").read_text())
    stale = out / "99-gone" / "old.yaml"
    stale.parent.mkdir()
    stale.write_text("x\n")
    outside = tmp_path / "outside.txt"
    outside.write_text("x\n")
    listing["files"] += ["99-gone/old.yaml", "../outside.txt"]
    (out / "plan.json").write_text(json.dumps(listing))
    write_document(document, out)
    assert not stale.parent.exists()
    assert outside.exists()
    assert (out / "before" / "istiod-values.yaml").exists()
    assert (out / "plan.md").read_text() == document.markdown


def test_a_plan_that_was_killed_while_it_was_written_is_written_again(
    document: PlanDocument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    moved = border._move
    left_to_move: list[int] = []

    def until_killed(draft: Path, target: Path) -> None:
        if not left_to_move:
            raise KilledError
        left_to_move.pop()
        moved(draft, target)

    monkeypatch.setattr(border, "_move", until_killed)
    for allowed in (0, 1, 2, 5):
        left_to_move[:] = range(allowed)
        with pytest.raises(KilledError):
            write_document(document, tmp_path)
    left = tmp_path / ".rightsize.abcd1234.unfinished"
    left.mkdir()
    monkeypatch.undo()
    write_document(document, tmp_path)
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == set(document.files)


def test_a_folder_that_is_no_plan_is_left_alone(document: PlanDocument, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine\n")
    with pytest.raises(OutputError, match="holds no plan"):
        write_document(document, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(OutputError, match="is a file"):
        write_document(document, tmp_path / "notes.txt")


def test_the_documentation_names_every_phase_and_file() -> None:
    page = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
    for name in get_args(PhaseName):
        assert f"`{name}`" in page
    assert all(f"`{name}`" in page for name in (PAGE, DATA, RULES, RECORD))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(pages(PlanDocument.of(*tiny_plan(Path(folder) / "s"))))
    sys.stderr.write(f"{GOLDEN} written\n")


if __name__ == "__main__":
    main()
