"""Nothing out of data leaves its folder, runs as a command, or moves a reader's terminal."""

from __future__ import annotations

import ast
import errno
import fcntl
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from rightsize import border
from rightsize.border import (
    csv_cell,
    path_part,
    printable,
    read_file,
    scratch_folder,
    word,
    write_text,
)
from rightsize.errors import OutputError
from rightsize.files.shell import Change, change_script
from rightsize.files.yaml_text import to_yaml
from tests.servers.require import require_program

NAMES = st.one_of(
    st.text(min_size=1, max_size=40),
    st.sampled_from(["../../x", "/etc/passwd", ".", "..", "a/b", "x\0y", "inv$(touch x)", "`id`"]),
    st.sampled_from(["a\nrm -rf b", "'; touch x; '", "no", "on", "y", "1e3", "0x1f", "1:20", "~"]),
    st.sampled_from(["\x1b[31mred", "[/red]", "‮abc", "=HYPERLINK(1)", "-rf", "--all", "%"]),
)


@given(NAMES)
@example("..")
@example("a" * 4000)
def test_a_name_becomes_one_part_of_a_path(name):
    part = border.path_part(name)
    assert part
    assert part not in (".", "..")
    assert "/" not in part
    assert part.isascii()
    assert part.isprintable()
    assert len(part) <= 255


@given(st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_different_names_stay_different(names):
    one, other = (border.path_part(name) for name in names)
    assert one != other


@pytest.mark.parametrize("name", ["shop", "no", "web-1.prod", "a_b"])
def test_a_name_that_kubernetes_could_have_stays_as_it_is(name):
    assert border.path_part(name) == name


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "link/x", "."])
def test_nothing_is_written_outside_of_the_folder(name, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="outside"):
        border.write_files(folder, {"fine": "", name: "x"})
    assert [path.name for path in folder.iterdir()] == ["link"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@given(st.text(max_size=60))
def test_text_for_people_is_one_visible_line(text):
    shown = border.printable(text)
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert "‮" not in shown
    assert shown == text or not text.isprintable()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_spreadsheet_sees_text(text):
    assert border.csv_cell(text)[0] not in "=+-@\t\r"


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_a_command_line_has_as_many_words_as_it_was_given(words):
    import shlex

    # A word that begins with a dash has a test of its own.
    shown = [re.sub("^%2D", "-", word) for word in shlex.split(border.command(*words))]
    assert shown == [re.sub("^%2D", "-", border.printable(word)) for word in words]


@given(NAMES)
@example("0" + "\x06" * 12 + "\U00010000\U00010000\U000100000 0")
@example("ü" * 30 + " a " * 30)
def test_yaml_1_1_reads_every_name_as_text(name):
    written = to_yaml([{"metadata": {"name": name, name: [name]}}], comment=name)
    assert yaml.safe_load(written) == {"metadata": {"name": name} | {name: [name]}} or (
        name == "name"
    )


@given(st.text(min_size=1, max_size=30))
def test_a_promql_string_ends_where_it_should(text):
    quoted = border.promql_string(text)
    inner = quoted[1:-1].replace("\\\\", "").replace('\\"', "")
    assert '"' not in inner
    assert "\n" not in quoted


HOSTILE = [
    "inv$(touch pwned)",
    "`touch pwned`",
    "x\ntouch pwned",
    "';touch pwned;'",
    "-n",
    "\x1b[2J",
]


def stand_in(folder: Path, present: bool = True) -> None:
    """A kubectl that notes its words, and finds every object or none."""
    found = "found" if present else ""
    text = f'#!/bin/sh\necho "$@" >> "{folder}/calls"\ncase $1 in get) echo "{found}";; esac\n'
    (folder / "kubectl").write_text(text)
    (folder / "kubectl").chmod(0o755)


def hostile_script() -> str:
    changes = [
        Change(
            f"{name}/{name}",
            ("deployment", name, "-n", name),
            (border.command("kubectl", "rollout", "restart", f"deployment/{name}", "-n", name),),
        )
        for name in HOSTILE
    ]
    return change_script(changes, "\n".join(HOSTILE))


def run(script: Path) -> subprocess.CompletedProcess[str]:
    folder = script.parent
    return subprocess.run(
        ["sh", script.name], cwd=folder, env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_script_of_hostile_names_runs_nothing_but_its_commands(tmp_path):
    script = tmp_path / "restart.sh"
    script.write_text(hostile_script())
    stand_in(tmp_path)
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert f"{len(HOSTILE)} changed, 0 not there any more, 0 failed" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls", "kubectl", "restart.sh"]


def test_what_is_not_there_any_more_is_skipped_and_counted(tmp_path):
    script = tmp_path / "restart.sh"
    script.write_text(hostile_script())
    stand_in(tmp_path, present=False)
    done = run(script)
    assert done.returncode == 0
    assert f"0 changed, {len(HOSTILE)} not there any more, 0 failed" in done.stdout
    assert "restart" not in (tmp_path / "calls").read_text()


def test_a_failure_stops_nothing_and_ends_with_one(tmp_path):
    script = tmp_path / "restart.sh"
    script.write_text(hostile_script())
    stand_in(tmp_path)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        kubectl.read_text() + 'case "$*" in *touch*restart*|rollout*inv*) exit 1;; esac\n'
    )
    done = run(script)
    assert done.returncode == 1
    assert f"{len(HOSTILE) - 1} changed, 0 not there any more, 1 failed" in done.stdout


def test_the_script_passes_shellcheck(tmp_path):
    script = tmp_path / "restart.sh"
    script.write_text(hostile_script())
    done = subprocess.run(
        [require_program("shellcheck"), script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["/dev/zero", "a\0b", "/nowhere", "/"])
def test_a_file_without_end_or_without_a_name_is_an_error_of_the_system(name):
    with pytest.raises(OSError):
        read_file(Path(name), 1000)


LEGAL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""A DNS subdomain (RFC 1123), what Kubernetes asks of the names of workloads; without dots, and of 63
letters at most, it is a DNS label, what it asks of namespaces. kubernetes.io, "Object Names and IDs"."""


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("no", True), ("y", True), ("1e3", True), ("0x1f", True), ("on", True), ("a.b", True), ("1.5", True),
        ("a" * 253, True), ("a" * 254, False), ("-rf", False), ("~", False), ("1:20", False), ("A", False),
        ("../x", False), ("a..b", False), (".a", False), ("a-", False), ("", False), ("a\n", False),
        ("inv$(x)", False), ("*", False), ("%s{0}", False), ("\u202e", False), ("a_b", False),
    ],
)  # fmt: skip
def test_a_legal_name_stays_in_paths_words_and_yaml_and_another_is_escaped(name, legal):
    assert (LEGAL.fullmatch(name) is not None and len(name) <= 253) is legal
    part = path_part(name)
    assert re.fullmatch(r"[A-Za-z0-9_%][A-Za-z0-9._%-]*", part)
    assert len(part) <= 255
    if legal:
        assert part == name or len(name) > 200
        assert printable(name) == name
        assert word(name) == name
        assert csv_cell(name) == name
    assert yaml.safe_load(to_yaml([{"name": name}])) == {"name": name}
    assert shlex.split(word(name)) == [re.sub("^-", "%2D", printable(name))]


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path):
    left = [
        tmp_path / f".{name}.abcd_123.unfinished" for name in ("a.yaml", "b", "\n", "rightsize")
    ]
    alive = tmp_path / ".a.yaml.abcd_124.unfinished"
    others = [tmp_path / name for name in (".b.yaml.x.unfinished", "b.abcd_123.unfinished", ".tmp")]
    link = tmp_path / ".c.abcd_123.unfinished"
    left[-1].mkdir()
    for path in (*left[:-1], left[-1] / "part", alive, *others):
        path.write_text("part")
    link.symlink_to(others[0])
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    with alive.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write_text(tmp_path / "a.yaml", "whole")
    assert {*tmp_path.iterdir()} == {tmp_path / "a.yaml", alive, *others, link}


def test_files_that_have_no_room_leave_those_of_before_as_they_were(tmp_path, monkeypatch):
    files = {"a.txt": "one", "b/c.txt": "two", "d": b"\xff"}
    border.write_files(tmp_path, files)
    wrote, called = border._write_down, []

    def until_full(stream, content, **more):
        if content == b"no room":
            raise OSError(errno.ENOSPC, "No space left on device")
        wrote(stream, content, **more)

    monkeypatch.setattr(border, "_write_down", until_full)
    changed = {"a.txt": "new", "b/c.txt": "no room"}
    with pytest.raises(OutputError, match="c.txt: cannot be written .No space"):
        border.write_files(tmp_path, changed, before=lambda: called.append(1))
    assert not called
    found = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*.txt")}
    assert found == {"a.txt": b"one", "b/c.txt": b"two"}
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "b", "d"}


def test_files_of_several_folders_are_one_set_too(tmp_path, monkeypatch):
    places = [tmp_path / "a" / "one.yaml", tmp_path / "b" / "two.yaml"]
    border.replace_files(dict.fromkeys(places, b"old"))
    wrote = border._write_down

    def until_full(stream, content, **more):
        if content == b"no room":
            raise OSError(errno.ENOSPC, "No space left on device")
        wrote(stream, content, **more)

    monkeypatch.setattr(border, "_write_down", until_full)
    with pytest.raises(OutputError, match="two.yaml: cannot be written .No space"):
        border.replace_files({places[0]: b"new", places[1]: b"no room"})
    found = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == dict.fromkeys(places, b"old")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


@pytest.mark.parametrize(
    "command", ["control_plane", "demo", "explain", "report", "scope", "shards"]
)
def test_a_command_of_several_files_writes_them_in_one_call(command):
    """Else a full disk leaves some new and some old."""
    text = (Path(border.__file__).parent / "cli" / f"{command}.py").read_text()
    calls = re.findall(r"\b(?:write_files|write_and_show|write_report|save|write_text)\(", text)
    assert len(calls) == 1


def test_a_scratch_folder_goes_at_the_end_and_is_left_alone_before(tmp_path):
    with scratch_folder(tmp_path) as folder:
        (folder / "part").touch()
        os.utime(folder, (0, 0))
        border._remove_left_overs.cache_clear()
        with scratch_folder(tmp_path) as other:
            assert {*tmp_path.iterdir()} == {folder, other}
    assert not any(tmp_path.iterdir())


def test_nothing_but_the_border_makes_files_of_its_own_for_a_while():
    """Else nobody removes what a killed process leaves."""
    package = Path(border.__file__).parent
    users = {path for path in package.rglob("*.py") if "import tempfile" in path.read_text()}
    assert users == {package / "border.py"}


_FROM_DATA = re.compile(r"""(?:out|folder) / f["'][^"']*\{""")


def test_no_command_joins_a_path_of_data_by_itself():
    """`below` checks it, `path_part` makes one part of it."""
    package = Path(border.__file__).parent
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for part in ("cli", "output", "forge", "rollout", "namespaces")
        for path in (package / part).rglob("*.py")
        for line in path.read_text().splitlines()
        if _FROM_DATA.search(line)
    ]
    assert not found


@pytest.mark.parametrize("name", ["--all", "--server=https://x", "-A", "-n", "--patch-file"])
def test_a_name_is_no_option_of_a_command(name):
    line = border.command(
        "kubectl", "rollout", "restart", "deployment", "-n", name, "--timeout=15m"
    )
    assert shlex.split(line)[-2] == f"%2D{name[1:]}"
    if name not in border._OPTIONS:
        line = border.command("kubectl", "patch", "deployment", name, "-n", "shop", "-p", "{}")
        assert shlex.split(line)[3:] == [f"%2D{name[1:]}", "-n", "shop", "-p", "{}"]


def test_every_option_of_our_commands_is_known():
    """Else it would be written as a name."""
    found = set()
    for path in Path(border.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "command",
                "istioctl",
            ):
                words = [one for one in ast.walk(node) if isinstance(one, ast.Constant)]
                found |= {
                    w.value
                    for w in words
                    if isinstance(w.value, str) and re.match("--?[a-z]", w.value)
                }
    assert found <= border._OPTIONS
