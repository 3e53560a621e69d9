"""Files that cannot be patched: what is wrong, on which line and column, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rightsize.errors import InputFileError, RightsizeError
from rightsize.patch import patch_files
from tests.patch.patching import ISTIOD, SIDECAR, patch_text


def refused(tmp_path: Path, content: bytes, *flags: str) -> InputFileError:
    file = tmp_path / "values.yaml"
    file.write_bytes(content)
    with pytest.raises(InputFileError) as caught:
        patch_files([file], [SIDECAR, ISTIOD])
    assert str(file) in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("content", "line", "column", "what"),
    [
        (b"pilot:\n  a: [1, 2\n  b: 3\n", 3, 4, "malformed YAML"),
        (b"pilot:\n  a: b: c\n", 2, 7, "malformed YAML"),
        (b"pilot:\n  env: 1\n  env: 2\n", 3, 3, "duplicate key 'env'"),
        (b"pilot:\n\tenv: 1\n", 2, 1, "a tab in the indentation"),
        (b"pilot: *none\n", 1, 8, "alias"),
        (b"pilot:\n  x: {{ .Values.size }}\n", 2, 6, "a Go template"),
        (b"{{- if .Values.a }}\npilot: {}\n{{- end }}\n", 1, 1, "a Go template"),
        (b"pilot:\n  a: \x00\n", 2, 6, "NUL byte"),
        (b"pilot:\n  a: caf\xe9\n", 2, 9, "not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", 3, 1, "NUL byte"),
        (b"just text\n", 1, 1, "not a mapping"),
        (b"pilot: [a]\nmeshConfig: {}\n", 1, 8, "pilot is a list"),
        (b"pilot: on\nmeshConfig: {}\n", 1, 8, "pilot is not a mapping"),
        (b"pilot:\n  resources: {requests: {cpu: [1]}}\n", 2, 31, "not a single value"),
    ],
)
def test_a_file_that_is_no_usable_yaml_is_refused_at_its_place(
    tmp_path: Path, content: bytes, line: int, column: int, what: str
) -> None:
    error = refused(tmp_path, content)
    assert what in error.what
    assert (error.line, error.column) == (line, column)


@pytest.mark.parametrize(
    "bad", ['"1.5Gi "', '"abc"', "1 Gi", "2GB", "'-'", "0x10", "1_000", "|\n          1Gi"]
)
def test_a_bad_quantity_is_refused_at_its_place(tmp_path: Path, bad: str) -> None:
    text = f"global:\n  proxy:\n    resources:\n      limits:\n        memory: {bad}\n"
    error = refused(tmp_path, text.encode())
    assert "global.proxy.resources.limits.memory" in error.what
    assert "not a Kubernetes quantity" in error.what
    assert (error.line, error.column) == (5, 17)


def test_a_bad_bound_is_refused_at_its_place(tmp_path: Path) -> None:
    from tests.patch.patching import change

    with pytest.raises(InputFileError, match=r"values.yaml:2:17: .*'two' is not a whole number"):
        patch_text(
            tmp_path, "pilot:\n  autoscaleMin: two\n", change("istiod", bounds=(2, None, None))
        )


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert "empty (0 bytes)" in refused(tmp_path, b"").what


@pytest.mark.parametrize("content", [b"# nothing\n", b"\n\n", b"---\n", b"--- # a\n---\n"])
def test_a_file_of_comments_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "nothing but comments" in refused(tmp_path, content).what


def test_ten_megabytes_are_refused_without_parsing(tmp_path: Path) -> None:
    assert "10.0 MiB is too large" in refused(tmp_path, b"pilot: {}\n" * (2**20)).what


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputFileError, match=str(path)):
            patch_files([path], [SIDECAR])


def test_a_file_encrypted_by_sops_is_refused(tmp_path: Path) -> None:
    text = b"pilot:\n  a: ENC[AES256_GCM,data:x]\nsops:\n  mac: ENC[x]\n"
    error = refused(tmp_path, text)
    assert "SOPS" in error.what
    assert (error.line, error.column) == (3, 1)


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    text = "\n".join(lines) + "\npilot: {env: {}}\n"
    assert "aliases make this document too large" in refused(tmp_path, text.encode()).what


def test_a_mapping_that_contains_itself_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, b"pilot: &p\n  env: {}\n  again: *p\n")
    assert "inside its own anchor" in error.what


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    text = "pilot: " + "[" * 500 + "]" * 500 + "\n"
    assert "nested deeper" in refused(tmp_path, text.encode()).what


def test_braces_in_quotes_are_no_template(tmp_path: Path) -> None:
    text = "pilot:\n  env:\n    A: '{{ .ProxyID }}'\n"
    assert patch_text(tmp_path, text, ISTIOD).text_after.startswith(text)


@pytest.mark.parametrize(
    "text",
    [
        "pilot:\n  a: [1, 2\n",
        "pilot:\n  resources: &r\n    requests: {cpu: 1}\nother: *r\n",
        'global: {proxy: {resources: {limits: {cpu: "abc"}}}}\n',
    ],
)
def test_a_refused_file_is_left_as_it_was(tmp_path: Path, text: str) -> None:
    with pytest.raises(RightsizeError):
        patch_text(tmp_path, text, SIDECAR, ISTIOD)
    assert (tmp_path / "values.yaml").read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == ["values.yaml"]


WORDS = "pilot resources requests cpu spec global proxy items metadata 1 1Gi ~ ? << | > &a *a {{ }}"
MARKS = [
    "\n",
    "\n  ",
    ": ",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "'",
    '"',
    "#",
    "\t",
    "\r",
    "---\n",
]
RARE = ["!!str ", "!x ", "%Y", "\ufeff", "\u2028", "\x85", "é", "\x07", "kind: IstioOperator\n"]
PIECES = st.sampled_from([*WORDS.split(), *MARKS, *RARE, "apiVersion: install.istio.io/v1\n"])


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.lists(PIECES, max_size=30).map("".join))
@example(text="? [a]\n: b\npilot: {}\n")
@example(text="pilot: !!map {}\n")
@example(text="pilot: {? resources}\n")
@example(text="{pilot, global: {}}\n")
@example(text="pilot:\n  ? resources\n  : requests: {cpu: 1}\n")
def test_whatever_the_text_it_is_patched_or_refused_with_a_message(
    tmp_path: Path, text: str
) -> None:
    try:
        patched = patch_text(tmp_path, text, SIDECAR, ISTIOD, chart="istiod")
    except RightsizeError as error:
        message = str(error)
    else:
        assert patched.text_before == text
        message = str(patched.path)
    assert "values.yaml" in message
