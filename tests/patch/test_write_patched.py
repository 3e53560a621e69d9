"""Patched files go to the output folder under their own names; nothing is overwritten unasked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rightsize.errors import OutputError
from rightsize.patch import patch_files, unified_diff, write_patched
from tests.patch.patching import SIDECAR, change

TEXT = "global:\n  proxy:\n    resources:\n      requests:\n        cpu: 100m\n"


@pytest.fixture
def values(tmp_path: Path) -> Path:
    file = tmp_path / "values.yaml"
    file.write_text(TEXT)
    return file


def test_the_given_file_stays_and_the_patched_one_keeps_its_name(
    tmp_path: Path, values: Path
) -> None:
    patched = patch_files([values], [SIDECAR])
    assert write_patched(patched, tmp_path / "out") == [tmp_path / "out" / "values.yaml"]
    assert values.read_text() == TEXT
    assert "cpu: 35m" in (tmp_path / "out" / "values.yaml").read_text()


def test_in_place_replaces_the_file_and_keeps_its_mode(values: Path) -> None:
    values.chmod(0o640)
    write_patched(patch_files([values], [SIDECAR]), None)
    assert "cpu: 35m" in values.read_text()
    assert values.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in values.parent.iterdir()] == ["values.yaml"]


def test_in_place_follows_a_link(tmp_path: Path, values: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(values)
    write_patched(patch_files([link], [SIDECAR]), None)
    assert link.is_symlink()
    assert "cpu: 35m" in values.read_text()


def test_in_place_keeps_hard_links_and_owner(tmp_path: Path, values: Path) -> None:
    other = tmp_path / "linked.yaml"
    other.hardlink_to(values)
    before = values.stat()
    write_patched(patch_files([values], [SIDECAR]), out_dir=None)
    after = values.stat()
    assert other.read_text() == values.read_text()
    assert (after.st_ino, after.st_uid, after.st_gid) == (
        before.st_ino,
        before.st_uid,
        before.st_gid,
    )


def test_a_file_that_does_not_change_is_not_touched_in_place(values: Path) -> None:
    os.utime(values, (1, 1))
    write_patched(patch_files([values], []), None)
    assert values.stat().st_mtime == 1


def test_the_folder_of_the_given_file_is_refused_as_output(values: Path) -> None:
    with pytest.raises(OutputError, match="is the given file itself"):
        write_patched(patch_files([values], [SIDECAR]), values.parent)
    assert values.read_text() == TEXT


@pytest.mark.parametrize("link", ["out", "out/values.yaml"])
def test_a_link_out_of_the_output_folder_is_not_followed(
    tmp_path: Path, values: Path, link: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "values.yaml").write_text("keep")
    if "/" in link:
        (tmp_path / "out").mkdir()
        (tmp_path / link).symlink_to(tmp_path / "elsewhere" / "values.yaml")
        with pytest.raises(OutputError, match="outside"):
            write_patched(patch_files([values], [SIDECAR]), tmp_path / "out")
        assert (tmp_path / "elsewhere" / "values.yaml").read_text() == "keep"
    else:  # The folder itself may be a link: that is where the user wants it.
        (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
        write_patched(patch_files([values], [SIDECAR]), tmp_path / "out")
        assert "cpu: 35m" in (tmp_path / "elsewhere" / "values.yaml").read_text()


def test_files_of_one_name_keep_their_folders(tmp_path: Path, values: Path) -> None:
    other = tmp_path / "prod" / "values.yaml"
    other.parent.mkdir()
    other.write_text(TEXT)
    out = tmp_path / "out"
    written = write_patched(patch_files([values, other], [SIDECAR]), out)
    assert written == [out / "values.yaml", out / "prod" / "values.yaml"]


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path, values: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_patched(patch_files([values], [SIDECAR]), tmp_path / "out")


def test_a_new_kustomize_folder_is_written_beside_and_renewed(values: Path) -> None:
    written = write_patched(
        patch_files([values], [change("sidecar", "20m", of="shop/web", kind="Deployment")]), None
    )
    assert written[1] == values.parent / "sidecar-annotations" / "kustomization.yaml"
    write_patched(
        patch_files([values], [change("sidecar", "30m", of="shop/web", kind="Deployment")]), None
    )
    assert '"30m"' in written[2].read_text()


def test_a_folder_of_that_name_that_is_somebody_elses_is_refused(values: Path) -> None:
    folder = values.parent / "sidecar-annotations"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text("kind: Kustomization\n")
    with pytest.raises(OutputError, match="exists already"):
        write_patched(
            patch_files([values], [change("sidecar", "20m", of="shop/web", kind="Deployment")]),
            None,
        )
    assert (folder / "kustomization.yaml").read_text() == "kind: Kustomization\n"


def test_the_diff_is_one_that_patch_applies(tmp_path: Path) -> None:
    for name, text in {"a.yaml": TEXT, "b.yaml": TEXT.rstrip("\n"), "c.yaml": "x: 1\n"}.items():
        (tmp_path / name).write_text(text)
    files = [tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml")]
    patched = patch_files(files, [SIDECAR])
    diff = unified_diff(patched)
    assert "c.yaml" not in diff
    subprocess.run(["git", "apply", "-p1", "-"], input=diff, text=True, cwd="/", check=True)
    assert [f.read_bytes().decode() for f in files] == [p.text_after for p in patched]


def test_nothing_to_change_gives_no_diff(values: Path) -> None:
    assert unified_diff(patch_files([values], [])) == ""
