"""Hostile texts are refused early, and work grows with the length of what is read."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rightsize.audit import tree as audit_tree
from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files
from rightsize.audit.tree import Place, from_assignments
from rightsize.collectors.istio_objects import read_istio_objects
from rightsize.collectors.objects import read_objects
from rightsize.cost.other import other_costs
from rightsize.errors import RightsizeError
from rightsize.files import tree
from rightsize.files.leaves import flatten
from rightsize.files.yaml_text import from_yaml
from rightsize.patch.patcher import patch_files

NOW = datetime(2026, 9, 1, tzinfo=UTC)


def ladder(rung: str, first: str, steps: int) -> str:
    """Mappings of which each holds the one before several times."""
    lines = [f"m0: &m0 {first}"]
    lines += [f"m{k}: &m{k} " + rung.replace("*", f"*m{k - 1}") for k in range(1, steps)]
    return "\n".join(lines) + "\n"


BOMBS = {
    "sequences": ladder("[*,*,*,*]", "[x, x]", 40),
    "mappings": ladder("{x: *, y: *}", "{a: 1}", 60),
    "merges": ladder("\n  <<: [*, *]\n  k: v", "{a: 1}", 60),
    "many small ones": (ladder("[*,*,*,*]", "[x, x]", 8) + "---\n") * 50,
    "a chain that is deep": ladder("{x: *}", "{a: 1}", 5000),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_bomb_of_aliases_is_refused_while_it_is_read(text):
    with pytest.raises(tree.FlawError, match="aliases make this document too large|nested deeper"):
        tree.parse(text)


@pytest.mark.parametrize("text", ["a: &a {b: *a}", "a: &a [*a]", "a: &a {<<: *a, b: 1}"])
def test_an_alias_inside_its_own_anchor_is_refused(text):
    with pytest.raises(tree.FlawError, match="inside its own anchor"):
        tree.parse(text)


@pytest.mark.parametrize("text", ["[" * 20_000, "{a: " * 20_000, "a:\n" + "- " * 20_000])
def test_nesting_is_bounded(text):
    with pytest.raises(tree.FlawError):
        tree.parse(text)


def test_aliases_that_people_use_are_read():
    text = "base: &base {cpu: 1, memory: 2}\n" + "".join(
        f"w{k}: {{<<: *base}}\n" for k in range(99)
    )
    root = tree.parse(text)[0].root
    assert tree.text_at(root, ("w98", "cpu")) == "1"


def calls(function, *arguments: object) -> int:
    """Calls that a function makes: its work, without a clock."""
    count = 0

    def seen(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda text: audit_tree.parse(text, "f"), "kind: ConfigMap\nmetadata: {name: c}\n---\n"),
        (tree.parse, "kind: ConfigMap\nmetadata: {name: c}\n---\n"),
        (lambda text: flatten(tree.parse("a:\n" + text)[0].root), "- {k: [1, {z: 3}]}\n"),
        (from_yaml, "- {k: [1, {z: no}]}\n"),
    ],
)
def test_twice_the_text_is_twice_the_work(read, text):
    assert calls(read, text * 800) < 2.1 * calls(read, text * 400)


def test_a_mapping_of_many_keys_is_read_key_by_key():
    def read(count: int) -> None:
        root = tree.parse("".join(f"k{n}: 1\n" for n in range(count)))[0].root
        assert len(flatten(root)) == count

    def looked_up(count: int) -> None:
        root = tree.parse("".join(f"k{n}: 1\n" for n in range(count)))[0].root
        assert all(tree.text_at(root, (f"k{n}",)) == "1" for n in range(count))

    for function in (read, looked_up):
        assert calls(function, 800) < 2.1 * calls(function, 400)


def audited(files: list[Path]) -> object:
    return audit(read_files(files), now=NOW)


def patch(files: list[Path]) -> object:
    return patch_files(files, [])


TEXTS = {
    "open brackets": "[" * 20_000,
    "deep JSON": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "aliases": BOMBS["sequences"],
    "a lone surrogate": 'a: "\\ud800"\n',
    "NUL": "a: \0\n",
    "a number of thousands of digits": f"kind: A\nb: {'9' * 5000}\n",
    "an exponent of thousands of digits": f"kind: A\nb: 1e{'9' * 5000}\n",
    "a key of megabytes": "k" * 2_000_000 + ": 1\n",
    "a tag": "!!float abc\n",
    "a byte order mark": "\ufeffkind: A\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("read", [read_istio_objects, read_objects, other_costs, audited, patch])
def test_every_reader_of_files_gives_an_answer_or_one_error(read, text, tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text(text)
    with contextlib.suppress(RightsizeError):
        read(file if read is other_costs else [file])


def test_thousands_of_flags_are_each_read_once():
    def read(count: int) -> None:
        from_assignments([(f"a[{k}]", "1") for k in range(count)], Place("f", 1))

    assert calls(read, 800) < 2.1 * calls(read, 400)


@pytest.mark.parametrize(
    "key", [".".join("a" * 20_000), "a[" + "9" * 5000 + "]", "a[²]", "a[", "."]
)
def test_a_flag_of_any_key_is_read(key):
    from_assignments([(key, "9" * 5000), ("pilot.cpu", "1")], Place("f", 1))
