"""Runs collects and doctors against a hostile server in one process; a JSON line for each.

Arguments: the real server's address, a folder that holds the first day, and a folder to work in.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import rightsize.cli
from rightsize.collectors.prometheus import client
from tests.collectors.prometheus.mesh import DAY, HOUR
from tests.servers.faulty_proxy import Asked, Fault, faulty_proxy
from tests.servers.hostile_server import HOSTILE, VALUES, Raw, answered, peak_mib

SECOND_DAY = DAY + 24 * HOUR
When = Callable[[Asked], bool]


def windows(asked: Asked) -> bool:
    return asked.form.get("step") == "300" and float(asked.form["start"]) >= SECOND_DAY


def inventory(asked: Asked) -> bool:
    return asked.path.endswith("/query") and "kube_" in asked.form.get("query", "")


def everything(asked: Asked) -> bool:
    return True


def _sample(value: str) -> Callable[[bytes], bytes]:
    """Every sample of an answer replaced."""

    def change(body: bytes) -> bytes:
        answer = json.loads(body)
        if isinstance(answer.get("data"), dict) and isinstance(answer["data"].get("result"), list):
            for series in answer["data"]["result"]:
                if isinstance(series, dict):
                    for point in series.get("values", [series.get("value")]):
                        point[1] = value
        return json.dumps(answer, separators=(",", ":")).encode()

    return change


def _labels(value: str) -> Callable[[bytes], bytes]:
    """Every label's value replaced, one after the other made distinct by its series' number."""

    def change(body: bytes) -> bytes:
        answer = json.loads(body)
        if isinstance(answer.get("data"), dict) and isinstance(answer["data"].get("result"), list):
            for series in answer["data"]["result"]:
                if isinstance(series, dict):
                    series["metric"] = dict.fromkeys(series["metric"], value)
        return json.dumps(answer, separators=(",", ":")).encode()

    return change


def _where(when: When, fault: Fault) -> Callable[[Asked], Fault | None]:
    return lambda asked: fault if when(asked) else None


def _asks_the_time(asked: Asked) -> bool:
    return asked.form.get("query") == "time()"


def clock(value: str) -> Raw:
    said = {"status": "success", "data": {"resultType": "scalar", "result": [1, value]}}
    return answered(b"200 OK", json.dumps(said).encode())


def cases() -> Iterator[tuple[str, str, When, Fault]]:
    """Command, name, which requests, and what is answered."""
    for name, raw in HOSTILE.items():
        yield "collect", f"{name}, windows", windows, Fault(raw=raw)
        yield "doctor", name, everything, Fault(raw=raw)
        if "endless" not in name and "bomb" not in name:
            yield "collect", f"{name}, inventory", inventory, Fault(raw=raw)
    for name in ("endless body", "endless tiny series", "endless lists"):
        yield "collect", f"{name}, inventory", inventory, Fault(raw=HOSTILE[name])
    for value in ("NaN", "1e300", "-5", "x", "18446744073709551616"):
        yield "collect", f"time() is {value}", _asks_the_time, Fault(raw=clock(value))
    for name, value in VALUES.items():
        yield "collect", f"{name}, windows", windows, Fault(change=_sample(value))
        yield "collect", f"{name}, inventory", inventory, Fault(change=_sample(value))
    for text in ("", "\x00", "a" * 10_000, "../../x", "\u202e[/red]", "1e999", "{}", "=1+1"):
        yield "collect", f"labels {text[:9]!r}, windows", windows, Fault(change=_labels(text))
        yield "collect", f"labels {text[:9]!r}, inventory", inventory, Fault(change=_labels(text))


def main(address: str, first_day: Path, work: Path) -> None:
    client._FIRST_PAUSE = client._LONGEST_PAUSE = 0.001
    for number, (command, name, when, fault) in enumerate(cases()):
        out = work / str(number)
        words = ["--timeout", "3"]
        if command == "collect":
            shutil.copytree(first_day, out)
            words += ["--out", str(out), "--cluster", "mesh"]
            words += ["--start", "2026-09-14", "--end", "2026-09-16"]
        else:
            words += ["--end", "2026-09-15"]
        said = io.StringIO()
        started = time.monotonic()
        with (
            faulty_proxy(address, _where(when, fault)) as proxy,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            sys.argv = ["rightsize", command, "--prometheus-url", proxy.address, *words]
            code: object = 0
            try:
                rightsize.cli.run()
            except SystemExit as left:
                code = left.code or 0
            except BaseException:
                code = "traceback"
                said.write(traceback.format_exc())
        print(
            json.dumps(
                {
                    "command": command,
                    "name": name,
                    "code": code,
                    "said": said.getvalue(),
                    "out": str(out),
                    "requests": len(proxy.asked),
                    "seconds": time.monotonic() - started,
                    "peak_mib": peak_mib(),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
