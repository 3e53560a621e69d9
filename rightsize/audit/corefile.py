"""CoreDNS's Corefile, line by line."""

from __future__ import annotations

from dataclasses import replace

from rightsize.audit.model import Corefile, CorefileLine
from rightsize.audit.tree import Node, Place, Step, path_text


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


def corefiles_of_chart(values: Node) -> list[Corefile]:
    """The server blocks that values of the coredns chart make: `servers[].plugins[]`."""
    found = []
    for server in values.children("servers"):
        lines: list[CorefileLine] = []
        named = [zone.text_of("zone") or "." for zone in server.children("zones")]
        zones = tuple(named) or (".",)
        for plugin in server.children("plugins"):
            name = plugin.text_of("name")
            if name is None:
                continue
            words = (name, *(plugin.text_of("parameters") or "").split())
            lines.append(CorefileLine(_first_place(plugin, "parameters"), words, zones, None))
            block = plugin.get("configBlock")
            if block is None:
                continue
            for number, text in enumerate((block.text or "").splitlines()):
                if text.split():
                    line = block.value_line + number + (1 if block.style in ("|", ">") else 0)
                    place = replace(block.place, line=line)
                    lines.append(CorefileLine(place, tuple(text.split()), zones, name))
        if lines:
            found.append(Corefile(server.place, tuple(lines)))
    return found


def _first_place(plugin: Node, key: str) -> Place:
    reported = plugin.get(key) or plugin.get("name") or plugin
    return reported.place
