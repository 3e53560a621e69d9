"""What is computed in a second process is what is computed here, and nothing of it stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import pytest

from rightsize import beside
from rightsize.beside import at_need, second_process
from rightsize.errors import NoDataError


@pytest.fixture(autouse=True)
def _two_processors(monkeypatch):
    monkeypatch.setenv("PYTHON_CPU_COUNT", "2")


def of_process(number: int) -> tuple[int, int]:
    return number, os.getpid()


def dies_elsewhere(here: int) -> str:
    if os.getpid() != here:
        os._exit(9)
    return "computed here"


def fails() -> None:
    raise NoDataError("no pod was seen", hint="collect for longer")


def test_parts_are_computed_elsewhere_and_come_back_in_any_order():
    with second_process() as have:
        one, two = have(of_process, 1), have(of_process, 2)
        assert two()[0] == 2
        assert one()[0] == 1
        assert one()[1] == two()[1] != os.getpid()


def test_a_part_whose_process_ends_is_computed_here_and_so_are_those_after_it():
    with second_process() as have:
        first = have(dies_elsewhere, os.getpid())
        assert first() == "computed here"
        assert have(of_process, 3)() == (3, os.getpid())


@pytest.mark.parametrize("here", [True, False])
def test_an_error_is_raised_where_the_answer_is_asked_for(here):
    with second_process() as have:
        answer = (at_need if here else have)(fails)
        with pytest.raises(NoDataError, match="no pod was seen") as raised:
            answer()
    assert "collect for longer" in str(raised.value)


def test_nobody_waits_for_a_part_after_an_error():
    began, others = time.monotonic(), set(active_children())

    def interrupted() -> None:
        with second_process() as have:
            assert have(of_process, 1)()[0] == 1
            have(time.sleep, 600)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - began < 60
    assert set(active_children()) <= others


def test_the_second_process_ends_when_the_first_is_killed():
    program = (
        "import time; from rightsize.beside import second_process\n"
        "from tests.test_beside import of_process\n"
        "with second_process() as have:\n"
        "    print(have(of_process, 1)()[1], flush=True); have(time.sleep, 600)(); "
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        second = int(first.stdout.readline())
        first.kill()
    for _ in range(300):
        if not _runs(second):
            return
        time.sleep(0.1)
    pytest.fail("the second process is still there")


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("lack", ["processor", "semaphore"])
def test_without_a_second_process_everything_is_computed_here_when_asked_for(monkeypatch, lack):
    def none(*_: object, **__: object) -> None:
        raise OSError(38, "Function not implemented")

    if lack == "processor":
        monkeypatch.setenv("PYTHON_CPU_COUNT", "1")
    else:
        monkeypatch.setattr(beside, "ProcessPoolExecutor", none)
    with second_process() as have:
        assert have(of_process, 1)() == (1, os.getpid())
