"""Hostile texts are refused early, and work grows with the length of what is read."""

from __future__ import annotations

import sys

import pytest

from rightsize.audit import tree as audit_tree
from rightsize.audit.tree import Place, from_assignments
from rightsize.files import tree


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
        (lambda text: tree.flatten(tree.parse("a:\n" + text)[0].root), "- {k: [1, {z: 3}]}\n"),
    ],
)
def test_twice_the_text_is_twice_the_work(read, text):
    assert calls(read, text * 800) < 2.1 * calls(read, text * 400)


def test_thousands_of_flags_are_each_read_once():
    def read(count: int) -> None:
        from_assignments([(f"a[{k}]", "1") for k in range(count)], Place("f", 1))

    assert calls(read, 800) < 2.1 * calls(read, 400)


@pytest.mark.parametrize(
    "key", [".".join("a" * 20_000), "a[" + "9" * 5000 + "]", "a[²]", "a[", "."]
)
def test_a_flag_of_any_key_is_read(key):
    from_assignments([(key, "9" * 5000), ("pilot.cpu", "1")], Place("f", 1))
