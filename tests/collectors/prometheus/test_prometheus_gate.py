"""How many requests a server sees at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from rightsize.collectors.prometheus.client import Gate


def _most_inside(gate: Gate, tasks: int) -> int:
    inside, most, lock = 0, 0, threading.Lock()

    def enter() -> None:
        nonlocal inside, most
        with gate:
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(tasks) as pool:
        for _ in range(tasks):
            pool.submit(enter)
    return most


def test_as_many_as_its_width_and_no_more() -> None:
    assert _most_inside(Gate(3), 9) == 3


def test_one_after_the_server_showed_strain() -> None:
    gate = Gate(4)
    gate.narrow()
    assert _most_inside(gate, 6) == 1


def test_a_thread_that_comes_back_does_not_starve_one_that_waits() -> None:
    gate = Gate(1)
    order: list[str] = []
    started = threading.Event()

    def greedy() -> None:
        for _ in range(20):
            with gate:
                started.set()
                order.append("greedy")
                time.sleep(0.002)

    def patient() -> None:
        started.wait()
        with gate:
            order.append("patient")

    with ThreadPoolExecutor(2) as pool:
        pool.submit(greedy)
        pool.submit(patient)
    assert order.index("patient") < 5
