"""How a command ends: with the exit codes that docs/exit-codes.md lists, and nothing left behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rightsize.cli import run
from rightsize.errors import OutputError
from rightsize.fleet.dask_run import dask_client
from rightsize.snapshot import SnapshotWriter
from tests.tiny_mesh import Tiny, tiny_snapshot

COMMAND = [sys.executable, "-m", "rightsize"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["prices", "--iam-policy"], ["--version"], ["nodes", "--help"]])
def test_a_full_disk_under_stdout_is_7(words):
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ran.returncode == 7
    assert "Traceback" not in ran.stderr
    assert "No space left" in ran.stderr


@pytest.mark.parametrize("words", ["prices --iam-policy", "audit --help"])
def test_a_reader_that_went_away_is_0(words):
    line = f"set -o pipefail; {sys.executable} -m rightsize {words} | true"
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("closed", "words", "code"),
    [
        (">&-", "--version", 7),
        (">&- 2>&- <&-", "prices --iam-policy", 7),
        ("2>&- <&-", "prices --iam-policy", 0),
        ("2>&-", "alerts --snapshot /none", 5),
    ],
)
def test_a_closed_stream_is_no_fault_of_the_program(closed, words, code):
    ran = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m rightsize {words} {closed}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == code
    assert "Traceback" not in ran.stderr
    assert bool(ran.stdout) == (code == 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_in_order(number, code):
    starts = (
        "import sys, time; from rightsize.cli.streams import end_on_signals; end_on_signals(); "
    )
    ran = subprocess.Popen(
        [sys.executable, "-c", starts + "print('on', flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert ran.stdout is not None
    ran.stdout.readline()
    os.kill(ran.pid, number)
    _, err = ran.communicate(timeout=30)
    assert ran.returncode == code
    assert "Traceback" not in err


@pytest.mark.parametrize("place", ["folder", "x" * 300, "/proc/nothing", "/dev/full"])
@pytest.mark.parametrize("command", ["alerts", "dashboard", "runbook"])
def test_a_file_that_cannot_be_written_is_one_message(
    command: str, place: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    tiny_snapshot(tmp_path / "s", Tiny(days=1, pods=1), days=1)
    monkeypatch.setattr(sys, "argv", ["rightsize", command, "--snapshot", "s", "-o", place])
    with pytest.raises(SystemExit) as left:
        run()
    assert left.value.code == OutputError.exit_code
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_fills_up_anywhere_is_7_and_any_other_fault_of_the_system_is_a_bug(
    number: int, monkeypatch, capsys
) -> None:
    for raised, code in ((number, OutputError.exit_code), (errno.EBADMSG, 1)):
        fault = OSError(raised, os.strerror(raised), "/tmp/part")
        monkeypatch.setattr("rightsize.cli.app", lambda e=fault, **_: _raise(e))
        with pytest.raises(SystemExit) as left:
            run()
        said = capsys.readouterr().err
        assert left.value.code == code
        assert ("/tmp/part: cannot be written" in said) == (code != 1)
        assert ("Traceback" in said) == (code == 1)


def _raise(error: OSError) -> None:
    raise error


def test_a_manifest_that_has_no_room_leaves_the_day_before_and_no_unfinished_file(
    tmp_path: Path, monkeypatch
) -> None:
    found = tiny_snapshot(tmp_path / "s", Tiny(pods=1), days=1)
    before = {path: path.read_bytes() for path in found.path.rglob("*") if path.is_file()}
    day, record = next(iter(found.manifest.days.items()))
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("rightsize.snapshot.store.synced", lambda path: _raise(full))
    with SnapshotWriter(found.path, found.manifest) as writer, pytest.raises(OutputError):
        writer.write_day(day, {"usage": found.read("usage")[:5]}, record)
    after = {path: path.read_bytes() for path in found.path.rglob("*") if path.is_file()}
    assert after == before | {found.path / ".lock": b""}


def test_a_fleet_that_has_no_room_for_its_workers_is_7_and_names_the_folder(monkeypatch) -> None:
    distributed = pytest.importorskip("distributed")

    def refused(**given: object) -> None:
        try:
            _raise(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), given["local_directory"]))
        except OSError as error:
            raise RuntimeError("Cluster failed to start") from error

    monkeypatch.setattr(distributed, "LocalCluster", refused)
    with pytest.raises(OutputError, match=r"\.unfinished: cannot be written .No space"):
        dask_client(workers=1).__enter__()
