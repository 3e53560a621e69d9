"""CoreDNS's Corefile, line by line."""

from __future__ import annotations

from rightsize.analysis.audit.model import Corefile, CorefileLine
from rightsize.analysis.audit.tree import Place, Step, path_text


def parse_corefile(
    text: str, file: str, *, line_offset: int = 0, prefix: tuple[Step, ...] = ()
) -> Corefile:
    """Read a Corefile: server blocks (`zone:port {`) that hold plugins with options in `{ }`."""
    lines: list[CorefileLine] = []
    zones: tuple[str, ...] = ()
    plugin: str | None = None
    depth = 0
    for number, raw in enumerate(text.splitlines(), start=1 + line_offset):
        code = raw.split("#", 1)[0]
        words = tuple(code.replace("{", " { ").replace("}", " } ").split())
        plain = tuple(word for word in words if word not in "{}")
        if plain and depth == 0:
            zones = tuple(word.rstrip(",") for word in plain)
            plugin = None
        elif plain:
            column = len(raw) - len(raw.lstrip()) + 1
            path = path_text((*prefix, zones[0] if zones else ".", *((plugin,) if plugin else ())))
            place = Place(file, number, column, f"{path}.{plain[0]}", "Corefile")
            lines.append(CorefileLine(place, plain, zones, plugin))
        for word in words:
            if word == "{":
                depth += 1
                if depth == 2 and plain:
                    plugin = plain[0]
            elif word == "}":
                depth = max(0, depth - 1)
                if depth <= 1:
                    plugin = None
    path = path_text(prefix)
    return Corefile(Place(file, 1 + line_offset, 1, path, "Corefile"), tuple(lines))
