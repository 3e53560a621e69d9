"""Files of objects are read one object at a time, and hostile ones end in one error with its place."""

from __future__ import annotations

import gzip
import json
import os
import threading
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize import border
from rightsize.collectors import object_files, objects
from rightsize.collectors.istio_objects import read_istio_objects
from rightsize.collectors.object_files import objects_in
from rightsize.collectors.objects import read_objects
from rightsize.errors import InputFileError

POD = '{"kind": "Pod", "metadata": {"name": "a", "namespace": "b"}, "spec": {}}'
OPEN = '{"kind": "List", "items": ['
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
KINDS = st.text("abc", min_size=1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.builds(lambda kind, spec: {"kind": kind, "spec": spec}, KINDS, VALUES), max_size=4),
    st.sampled_from([None, 0, 4]), st.integers(1, 30), st.booleans(), st.booleans(),
)  # fmt: skip
def test_json_is_read_as_it_is_however_it_comes(tmp_path_factory, made, indent, piece, ascii, last):
    """Whatever the spaces, the window's border and the order of `kind` and `items`."""
    file = tmp_path_factory.mktemp("o") / "objects.json"
    content = {"items": made, "kind": "List"} if last else {"kind": "List", "items": made}
    text = json.dumps(content, indent=indent, ensure_ascii=ascii)
    file.write_text(text + "\n" + text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_files, "_CHUNK", piece)
        assert list(objects_in(file)) == made * 2


@settings(max_examples=20, deadline=None)
@given(st.lists(st.dictionaries(st.text("ab", min_size=1), st.text(max_size=9)), max_size=3))
def test_a_list_in_yaml_is_its_documents(tmp_path_factory, specs):
    made = [{"kind": "Pod", "spec": spec} for spec in specs]
    file = tmp_path_factory.mktemp("o") / "objects.yaml"
    file.write_text(yaml.safe_dump({"kind": "List", "items": made}, default_style='"'))
    listed = list(objects_in(file))
    file.write_text(
        "".join(f"---\n{yaml.safe_dump(o, default_style=chr(34))}" for o in made) + "---\n"
    )
    assert listed == made
    assert not made or list(objects_in(file)) == made


HOSTILE = {
    "nothing": ("", 1),
    "a null": ("null", 1),
    "spaces": (" \n " * 9, 1),
    "no list": ('{"items": []}', 1),
    "endless nesting": (OPEN + "\n" + "[" * 20_000, 2),
    "endless maps": (OPEN + '{"a":' * 20_000, 1),
    "endless nesting around": ('{"a":\n[' + "[" * 20_000, 2),
    "an object that is one giant string": (OPEN + '\n{"kind": "' + "x" * 3_000_000, 2),
    "keys without end": ("{" + ",".join(f'"{n}": "{"x" * 299_999}"' for n in range(10)), 1),
    "maps without end": (OPEN + "\n[" + '{"":0},' * 9_000, 2),
    "a key twice": (OPEN + f'\n{POD},\n{{"kind": "Pod", "metadata": {{"name": "a", "name": "b"}}}}]}}', 3),
    "a key that is a map": (OPEN + ']\n, {"a": 1}: 5}', 2),
    "items that are no list": ('{"kind": "List",\n"items": {}}', 2),
    "a key of the list twice": (OPEN + '],\n"kind": "List"}', 2),
    "NaN": (OPEN + f"{POD},\n" + '{"kind": "Pod", "a": NaN}]}', 2),
    "infinity": (OPEN + f"{POD},\n" + '{"kind": "Pod", "a": 1e999}]}', 2),
    "a number of thousands of digits": (OPEN + "\n" + "9" * 5000 + "]}", 2),
    "half a character": (OPEN + r'{"kind": "\ud800"}]}', 1),
    "cut off": (OPEN + f"{POD},\n\n{POD}"[:-9], 3),
    "cut off after an object": (OPEN + f"{POD}\n", 2),
    "a comma too many": (OPEN + f"{POD},\n]}}", 2),
    "something after it": (OPEN + f"{POD}]}}\nx", 2),
    "no object": (OPEN + f"{POD},\n5]}}", 2),
    "YAML nested without end": ("kind: List\nitems: " + "[" * 20_000, 2),
    "YAML of one giant word": ("kind: List\nitems:\n- " + "x" * 3_000_000, 3),
    "YAML without end": ("kind: Pod\nx: [" + "[]," * 9_000, 2),
    "YAML with a key twice": ("kind: List\nitems:\n- kind: Pod\n  kind: x\n", 4),
    "YAML cut off": ('kind: List\nitems:\n- kind: "Pod', 3),
    "a bomb of aliases": (
        "kind: A\na: &a [x]\n" + "".join(f"a{n}: &a [*a,*a,*a,*a,*a,*a]\n" for n in range(20)), None
    ),
    "gzip": (gzip.compress(b"{}"), 1),
    "half a letter": (b'{"kind": "\xc3', 1),
}  # fmt: skip


@pytest.mark.parametrize("read", [read_objects, read_istio_objects])
@pytest.mark.parametrize(("text", "line"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_ends_in_an_error_with_its_line(read, text, line, tmp_path, monkeypatch):
    monkeypatch.setattr(object_files, "_LARGEST_OBJECT", 2**20)
    monkeypatch.setattr(object_files, "_MOST_PARTS", 5_000)
    file = tmp_path / "objects"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputFileError) as error:
        read([file])
    assert str(file) in str(error.value)
    assert len(str(error.value)) < 500
    assert error.value.line == line or (line is None and error.value.line)


def test_an_object_of_another_shape_is_named(tmp_path):
    (tmp_path / "o.json").write_text(OPEN + POD.replace("{}", '{"containers": 5}') + "]}")
    with pytest.raises(InputFileError, match="another shape: Pod b/a"):
        read_objects([tmp_path / "o.json"])


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null", "/", "/none"])
def test_what_is_no_file_is_an_error(device):
    with pytest.raises(InputFileError, match=device):
        read_objects([Path(device)])


def test_a_pipe_without_a_writer_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(border, "_WAITED_FOR", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputFileError, match="nothing writes to"):
        read_objects([tmp_path / "pipe"])


def test_objects_of_a_pipe_without_end_are_there_as_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(object_files, "LARGEST_FILE", 2**22)
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        with suppress(BrokenPipeError), (tmp_path / "pipe").open("wb", buffering=0) as pipe:
            pipe.write(OPEN.encode())
            while True:
                pipe.write(f"{POD},\n".encode() * 99)

    writer = threading.Thread(target=write)
    writer.start()
    found = objects_in(tmp_path / "pipe")
    assert [one["kind"] for one in islice(found, 3)] == ["Pod"] * 3
    with pytest.raises(InputFileError, match="holds more than"):
        list(found)
    writer.join()


def test_what_is_kept_of_all_objects_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "_MOST_KEPT", 20_000)
    file = tmp_path / "o.json"
    pods = [POD.replace('"a"', f'"a{n}"') for n in range(60)]
    file.write_text(OPEN + ",".join(pods[:20]) + "]}")
    assert len(read_objects([file]).pods) == 20
    file.write_text(OPEN + ",".join(pods) + "]}")
    with pytest.raises(InputFileError, match="than a cluster has"):
        read_objects([file])
