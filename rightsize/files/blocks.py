"""New YAML content and how it is written: block style, flow style, JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Leaf:
    """A value to write. `quoted` where a bare number would be read as another type."""

    text: str
    quoted: bool = False

    @property
    def written(self) -> str:
        return json.dumps(self.text) if self.quoted else self.text


Block = dict[str, "Block | list[Block | Leaf] | Leaf"]
"""New content: mappings, lists and leaves. A key is as it stands in the text (quotes included)."""
Content = Block | list[Block | Leaf] | Leaf

RESERVED = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def block_lines(content: Content, column: int, step: int) -> list[str]:
    """Block style, one line each, starting at `column`."""
    pad = " " * column
    if isinstance(content, Leaf):
        return [pad + content.written]
    if isinstance(content, list):
        lines = []
        for item in content:
            inner = block_lines(item, column + 2, step)
            lines += [pad + "- " + inner[0].lstrip(" "), *inner[1:]]
        return lines
    lines = []
    for key, value in content.items():
        if isinstance(value, Leaf):
            lines.append(f"{pad}{key}: {value.written}")
        elif not value:
            lines.append(f"{pad}{key}: " + ("{}" if isinstance(value, dict) else "[]"))
        else:
            lines += [f"{pad}{key}:", *block_lines(value, column + step, step)]
    return lines


def flow_text(content: Content, as_json: bool) -> str:
    if isinstance(content, Leaf):
        bare = re.fullmatch(r"-?\d+(\.\d+)?|true|false|null|[\"'].*", content.written)
        return content.written if not as_json or bare else json.dumps(content.text)
    if isinstance(content, list):
        return "[" + ", ".join(flow_text(item, as_json) for item in content) + "]"
    quoted = {
        json.dumps(k) if as_json and not k.startswith('"') else k: v for k, v in content.items()
    }
    return "{" + ", ".join(f"{key}: {flow_text(v, as_json)}" for key, v in quoted.items()) + "}"


def plain_key(key: str) -> str:
    """A key without quotes where YAML 1.1 and 1.2 read it as this string."""
    if re.fullmatch(r"[A-Za-z_][\w./-]*", key) and key.lower() not in RESERVED:
        return key
    return json.dumps(key)
