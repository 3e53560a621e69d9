"""A settings file with every setting, its meaning and its default, as TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import PydanticUndefined

from rightsize.border import remark
from rightsize.config import Settings

Found = Mapping[tuple[str, str], tuple[object, str]]
"""By section and name: the value that was found, and where."""


def settings_text(found: Found) -> str:
    """Settings in force are those of `found`; the others are comments that show the default.

    A setting without a default is shown as what to write in its place.
    """
    lines = [
        "# Settings of rightsize; docs/settings.md has the same list. Lines with # are defaults."
    ]
    for section, field in Settings.model_fields.items():
        model: Any = field.annotation
        lines += ["", *remark((model.__doc__ or "").strip().split("\n")[0]), f"[{section}]"]
        for name, item in model.model_fields.items():
            lines += _setting(section, name, item, found)
    return "\n".join(lines) + "\n"


def _setting(section: str, name: str, item: Any, found: Found) -> Iterator[str]:
    yield from remark(item.description or "")
    if (section, name) in found:
        value, where = found[section, name]
        yield from remark(f"found in {where}")
        yield f"{name} = {toml_value(value)}"
        return
    default = item.default
    if default is PydanticUndefined:
        default = item.default_factory() if item.default_factory else None
    if default is None:
        yield f"# {name} = ...  (not set)"
    else:
        yield f"# {name} = {toml_value(default)}"


def toml_value(value: object) -> str:
    """A TOML value: JSON's texts, numbers, booleans and lists are TOML's, too."""
    if isinstance(value, Mapping):
        inner = ", ".join(
            f"{toml_value(str(key))} = {toml_value(one)}" for key, one in value.items()
        )
        return f"{{{inner}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    plain = value if isinstance(value, (bool, int, float, str)) else str(value)
    # TOML knows no pairs of surrogates, and wants DEL escaped.
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")
