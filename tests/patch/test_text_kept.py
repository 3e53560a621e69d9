"""Only sizes change: comments, order, quotes, anchors, indentation and line endings stay."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.blocks import Leaf
from rightsize.files.leaves import flatten
from rightsize.files.splice import set_values
from tests.patch.patching import GATEWAY, ISTIOD, SIDECAR, differences, patch_text

SMALL = """\
# Top comment
pilot:   # the control plane
  env: {PILOT_A: "1", B: 'x'}  # kept

  resources:
    requests: # sizes
      cpu: "500m"   # quoted
      memory: '2Gi'

meshConfig:
    accessLogFile: /dev/stdout
"""


def test_quotes_comments_and_blank_lines_stay(tmp_path: Path) -> None:
    assert differences(patch_text(tmp_path, SMALL, ISTIOD)) == [
        '-      cpu: "500m"   # quoted',
        "-      memory: '2Gi'",
        '+      cpu: "250m"   # quoted',
        "+      memory: '1Gi'",
    ]


@pytest.mark.parametrize(
    "lines",
    ["        # 100m is enough\n        cpu: 100m\n", "        cpu: 100m # was 50m, now 100m\n"],
)
def test_a_comment_that_quotes_the_old_number_is_named(tmp_path: Path, lines: str) -> None:
    text = f"global:\n  proxy:\n    resources:\n      requests:\n{lines}"
    (note,) = [n for n in patch_text(tmp_path, text, SIDECAR).notes if "comment" in n]
    assert note.startswith("line 5: the comment still says 100m")


def test_a_comment_of_another_number_is_none(tmp_path: Path) -> None:
    text = "global: {proxy: {resources: {requests: {cpu: 100m}}}} # 1100m, 100Mi\n"
    assert not [n for n in patch_text(tmp_path, text, SIDECAR).notes if "comment" in n]


def test_windows_line_endings_and_a_byte_order_mark_stay(tmp_path: Path) -> None:
    text = "\ufeffpilot:\r\n  env: {}\r\n  resources:\r\n    requests:\r\n      cpu: 1\r\n"
    patched = patch_text(tmp_path, text, ISTIOD)
    assert patched.text_after == text.replace("cpu: 1", "cpu: 250m\r\n      memory: 1Gi")


def test_a_missing_last_line_break_stays_missing(tmp_path: Path) -> None:
    patched = patch_text(tmp_path, "pilot:\n  resources:\n    requests:\n      cpu: 1", ISTIOD)
    assert patched.text_after.endswith("      cpu: 250m\n      memory: 1Gi")


def test_keys_are_added_in_the_indentation_of_the_file(tmp_path: Path) -> None:
    text = "pilot:\n    env:\n        A: b\nglobal:\n    proxy:\n        logLevel: info\n"
    patched = patch_text(tmp_path, text, ISTIOD, SIDECAR)
    assert "    resources:\n        requests:\n            cpu: 250m\n" in patched.text_after
    assert (
        "        resources:\n            requests:\n                cpu: 35m" in patched.text_after
    )


def test_flow_style_stays_flow_style(tmp_path: Path) -> None:
    text = "pilot: {resources: {requests: {cpu: 500m}}, env: {}}\n"
    patched = patch_text(tmp_path, text, ISTIOD)
    assert patched.text_after == (
        "pilot: {resources: {requests: {cpu: 250m, memory: 1Gi}}, env: {}}\n"
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_keys_are_added_after_the_comments_of_their_own_block(tmp_path: Path, newline: str) -> None:
    lines = [
        "global:",
        "  proxy:",
        "    resources:",
        "      requests:",
        "        cpu: 100m",
        "        memory: 128Mi",
        "      # limits:",
        "      #   cpu: 2",
        "# the end",
    ]
    text = newline.join(lines)
    patched = patch_text(tmp_path, text, SIDECAR).text_after.split(newline)
    assert patched[6:8] == lines[6:8]
    assert patched[8].strip() == "limits:"
    assert patched[-1] == "# the end"


def test_keys_are_added_before_the_comment_of_the_next_block(tmp_path: Path) -> None:
    text = "pilot:\n  resources:\n    requests:\n      cpu: 1 # a\n\n# next\nmeshConfig: {}\n"
    patched = patch_text(tmp_path, text, ISTIOD)
    assert "cpu: 250m # a\n      memory: 1Gi\n\n# next\n" in patched.text_after


@pytest.mark.parametrize("header", ["|", "|-", "|+", ">", "|2-"])
def test_keys_can_follow_a_block_of_text(tmp_path: Path, header: str) -> None:
    text = f"pilot:\n  note: {header}\n    some\n    text\n\n\nmeshConfig: {{}}\n"
    patched = patch_text(tmp_path, text, ISTIOD)
    before, after = tree.parse(text)[0].root, tree.parse(patched.text_after)[0].root
    assert tree.text_at(after, ("pilot", "note")) == tree.text_at(before, ("pilot", "note"))
    assert tree.text_at(after, ("pilot", "resources", "requests", "cpu")) == "250m"


def test_an_alias_gets_a_copy_of_its_own(tmp_path: Path) -> None:
    text = (
        "x: &small\n  requests: {cpu: 100m, memory: 1Gi, ephemeral-storage: 1Gi}\n"
        "pilot:\n  resources: *small\nglobal:\n  proxy:\n    resources: *small  # same\n"
    )
    patched = patch_text(tmp_path, text, ISTIOD)
    assert patched.text_after == text.replace(
        "  resources: *small\nglobal",
        "  resources:\n    requests:\n      cpu: 250m\n      memory: 1Gi\n"
        "      ephemeral-storage: 1Gi\nglobal",
    )
    assert patched.added == ("added `resources` under pilot with its own copy of *small",)


def test_a_merged_block_is_overridden_with_all_its_other_keys(tmp_path: Path) -> None:
    text = (
        "base: &base\n  image: a\n  resources: {requests: {cpu: 1, memory: 2Gi}, claims: [x]}\n"
        "pilot:\n  <<: *base\n  env: {}\n"
    )
    patched = patch_text(tmp_path, text, ISTIOD)
    assert patched.text_after == text + (
        "  resources:\n    requests:\n      cpu: 250m\n      memory: 1Gi\n    claims:\n      - x\n"
    )


def test_a_block_that_another_key_shares_is_refused_with_both_places(tmp_path: Path) -> None:
    text = "pilot:\n  resources: &r\n    requests: {cpu: 1, memory: 1Gi}\nother: *r\n"
    with pytest.raises(InputFileError, match=r"values.yaml:2:14: .*&r is used again at 4:8"):
        patch_text(tmp_path, text, ISTIOD)


def test_a_shared_value_whose_users_all_change_is_patched(tmp_path: Path) -> None:
    text = (
        "pilot: {resources: {requests: {cpu: &c 1, memory: &m 1Gi}}}\n"
        "global: {proxy: {resources: {requests: {cpu: *c, memory: *m}}}}\n"
    )
    patched = patch_text(tmp_path, text, ISTIOD, SIDECAR)
    assert "{cpu: &c 250m, memory: &m 1Gi}" in patched.text_after
    assert "{cpu: 35m, memory: 64Mi}, limits: {cpu: 1000m, memory: 256Mi}" in patched.text_after


def test_unchanged_values_give_the_same_bytes(tmp_path: Path) -> None:
    once = patch_text(tmp_path, SMALL, ISTIOD)
    twice = patch_text(tmp_path, once.text_after, ISTIOD)
    assert twice.text_after == once.text_after
    assert not twice.changes


# --- mutations -----------------------------------------------------------------------------

SHIPPED = """\
# The chart's own values
pilot:
  autoscaleEnabled: true
  autoscaleMin: 1
  env: {}
  # sizes of the control plane
  resources:
    requests:
      cpu: 500m
      memory: 2048Mi
  tolerations:
  - {key: a, operator: Exists}
global:
  hub: ""
  proxy:
    image: proxyv2
    resources:
      requests:
        cpu: 100m
        memory: 128Mi
      limits:
        cpu: 2000m
        memory: 1024Mi
    lifecycle: {}
  logging:
    level: "default:info"
meshConfig:
  enablePrometheusMerge: true
  text: |
    pilot:
      resources: not a key
  list: [1, "two", {three: 3}]
"""
SIZE_LINE = re.compile(r"^\s*(cpu|memory): ")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The file above with its blocks reordered, restyled, commented, anchored and re-indented."""
    blocks = re.findall(r"^(?:# .*\n)*\w+:.*\n(?:[ #].*\n)*", SHIPPED, flags=re.M)
    lines = "".join(draw(st.permutations(blocks))).splitlines()
    result = []
    in_text = False
    for line in lines:
        in_text = (in_text and line.startswith("    ")) or line.endswith("|")
        if SIZE_LINE.match(line) and not in_text:
            key, value = line.split(": ")
            quote = draw(st.sampled_from(["", "'", '"']))
            anchor = draw(st.sampled_from(["", "", f"&a{len(result)} "]))
            line = f"{key}: {anchor}{quote}{value}{quote}"
        if not in_text and not line.endswith("|"):
            line += draw(st.sampled_from(["", "", "  # why: {this}", "   "]))
            if draw(st.integers(0, 9)) == 0:
                result.append(draw(st.sampled_from(["", "# cpu: 1", "      # memory: &x *y"])))
        result.append(line)
    factor = draw(st.sampled_from([1, 2]))
    result = [re.sub(r"^ +", lambda m: m[0] * factor, line) for line in result]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return newline.join(result) + draw(st.sampled_from(["", newline]))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=mutated())
def test_only_sizes_differ_whatever_the_file_looks_like(tmp_path: Path, text: str) -> None:
    patched = patch_text(tmp_path, text, SIDECAR, ISTIOD)
    paths = {tuple(change.path.split(".")) for change in patched.changes}
    assert paths
    before, after = (flatten(tree.parse(t)[0].root) for t in (text, patched.text_after))
    assert {p: v for p, v in before.items() if p not in paths} == {
        p: v for p, v in after.items() if p not in paths
    }
    assert without_sizes(patched.text_after) == without_sizes(text)


def without_sizes(text: str) -> list[str]:
    """All lines but those of sizes and of the blocks around them."""
    lines = text.split("\n")
    blocks = {"resources:", "limits:", "requests:"}
    return [x for x in lines if not SIZE_LINE.match(x) and x.strip() not in blocks]


KEYS = st.sampled_from(["a", "b", "cpu", "x.y/z", "on"])
SCALARS = st.sampled_from(["1", "plain text", "'single'", '"dou#ble"', "~", "", "&n 5", "true"])


def _block(draw: st.DrawFn, depth: int) -> list[str]:
    lines = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=3, unique=True)):
        style = draw(st.integers(0, 4 if depth else 2))
        if style == 0:
            lines.append(f"{key}: {draw(SCALARS)}")
        elif style == 1:
            lines.append(f"{key}: {{m: 1, 'n': [2, {{}}]}}  # flow")
        elif style == 2:
            lines += [f"{key}: |", "  text: not yaml", "", "  # nor a comment"]
        elif style == 3:
            lines.append(f"{key}:")
            lines += [f"- {draw(SCALARS)}", "- k: v", "  l: w"]
        else:
            step = " " * draw(st.integers(1, 4))
            lines += [f"{key}:", *[step + line if line else "" for line in _block(draw, depth - 1)]]
        if draw(st.booleans()):
            lines.append("# comment")
    return lines


@st.composite
def any_yaml(draw: st.DrawFn) -> str:
    return "\n".join(_block(draw, 3)) + draw(st.sampled_from(["", "\n", "\n\n# end\n"]))


@settings(max_examples=200, deadline=None)
@given(
    text=any_yaml(),
    path=st.lists(KEYS, min_size=1, max_size=4).map(tuple),
    value=st.sampled_from(["250m", "1Gi"]),
)
def test_a_value_set_in_any_yaml_changes_that_path_alone_or_is_refused(
    text: str, path: tuple[str, ...], value: str
) -> None:
    before = flatten(tree.parse(text)[0].root)
    try:
        spliced = set_values(text, 0, {path: Leaf(value)})
    except tree.FlawError:
        on_the_way = [before.get(path[:n], "") for n in range(1, len(path) + 1)]
        blocked = any(v.split(":", 1)[-1] not in ("", "~") for v in on_the_way)
        lists = any(p[: len(path)] == path or isinstance(p[-1], int) for p in before)
        assert blocked or lists
        return
    assert tree.text_at(tree.parse(spliced.text)[0].root, path) == value
    position = 0
    for edit in sorted(spliced.edits, key=lambda edit: edit.start):
        assert text[position : edit.start] in spliced.text
        position = edit.end


# --- the real files ------------------------------------------------------------------------


def real_files() -> list[Path]:
    folder = os.environ.get("RIGHTSIZE_ISTIO_VALUES")
    return sorted(Path(folder).glob("*/*/values.yaml")) if folder else []


@pytest.mark.skipif(not real_files(), reason="RIGHTSIZE_ISTIO_VALUES names no folder of values")
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.randoms(use_true_random=False), index=st.integers(0, 10**6))
def test_real_files_with_comments_and_blank_lines_thrown_in_keep_all_other_lines(
    tmp_path: Path, seed: Random, index: int
) -> None:
    files = [f for f in real_files() if f.parent.name in ("istiod", "gateway")]
    file = files[index % len(files)]
    random = seed
    lines = list(
        itertools.chain.from_iterable(
            [line, *(["", "  # note"][: random.randint(0, 2)] if random.random() < 0.02 else [])]
            for line in file.read_text().splitlines()
        )
    )
    text = "\n".join(lines) + "\n"
    if tree.parse(text)[0].root is None:
        return
    patched = patch_text(tmp_path, text, SIDECAR, ISTIOD, GATEWAY, chart=file.parent.name)
    assert patched.changed
    assert without_sizes(patched.text_after) == without_sizes(text)
