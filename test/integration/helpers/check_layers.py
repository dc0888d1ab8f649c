# SPDX-License-Identifier: LGPL-2.1-or-later
"""check_layers.py SOURCES LIBRARIES: the layers of src/ (docs/development.md).

- No file includes a header of a layer that its own may not use, nor a private one (src/) of any other.
- No files of a layer need each other in a circle: A needs B if it uses a function or variable that B defines (nm(1) of
  LIBRARIES/libpfs_<layer>.a).
- docs/development.md has the picture of what includes what. PEERFS_WRITE_DOCS=1 puts it there."""
import os
import re
import subprocess
import sys
from pathlib import Path

BELOW = {}
for layer in ["base", "parse", "proc", "pod", "tree", "root", "fuse"]:
    BELOW[layer] = list(BELOW)
BELOW["links"] = ["base", "parse", "proc", "pod"]
BELOW["main"] = list(BELOW)

BEGIN, END = "<!-- the picture begins: PEERFS_WRITE_DOCS=1, unit.docs.layers -->\n", "<!-- the picture ends -->\n"


def includes(sources):
    """(file, its layer, the header) of every #include "..." of src/ and include/."""
    for file in sorted(sources.glob("src/*/*.[ch]")) + sorted(sources.glob("include/peerfs/*/*.h")):
        for header in re.findall(r'^#include "(.*)"', file.read_text(), re.M):
            yield file, file.parent.name, header


def layer_of(file, header):
    """The layer of an included header; None if it is a private one of another layer, or is not there."""
    public = re.fullmatch(r"peerfs/(\w+)/\w+\.h", header)
    if public:
        return public[1]
    return file.parent.name if "/" not in header and (file.parent / header).exists() else None


def wrong_includes(sources):
    for file, layer, header in includes(sources):
        if layer_of(file, header) not in [layer] + BELOW[layer]:
            yield f'{file.relative_to(sources)} includes "{header}"'


def picture(sources):
    used = {layer: set() for layer in BELOW}
    for file, layer, header in includes(sources):
        used[layer].add(layer_of(file, header))
    width = max(map(len, BELOW))
    rows = [f"{layer:{width}}  " + " ".join(f"{b if b in used[layer] else '.':{len(b)}}" for b in BELOW if b != "main")
            for layer in BELOW]
    return "```\n" + "".join(row.rstrip() + "\n" for row in rows) + "```\n"


def needs(library):
    """{file: the other files of the library whose symbols it uses}"""
    defined, wanted = {}, {}
    for line in subprocess.check_output(["nm", "-A", library], text=True).splitlines():
        found = re.fullmatch(r"[^:]+:(\w+)\.c\.o: *[0-9a-f]* *(\w) (\w+)", line)
        if found and found[2] in "TDBRVW":
            defined[found[3]] = found[1]
        elif found and found[2] == "U":
            wanted.setdefault(found[1], set()).add(found[3])
    return {file: {defined[s] for s in symbols if s in defined} - {file} for file, symbols in wanted.items()}


def reached(graph, start):
    seen, todo = set(), [start]
    while todo:
        for file in graph.get(todo.pop(), ()):
            if file not in seen:
                seen.add(file)
                todo.append(file)
    return seen


def knots(layer, library):
    """The files of the layer that need each other in a circle."""
    graph = needs(library)
    reach = {file: reached(graph, file) for file in graph}
    found = {" ".join(sorted(g for g in graph if g in reach[f] and f in reach[g])) for f in graph if f in reach[f]}
    return [f"{layer}: {knot}" for knot in sorted(found)]


def main():
    sources, libraries = Path(sys.argv[1]), Path(sys.argv[2])
    problems = list(wrong_includes(sources))
    for layer in BELOW:
        problems += [f"circle of files: {knot}" for knot in knots(layer, libraries / f"libpfs_{layer}.a")]
    document = sources / "docs/development.md"
    before, rest = document.read_text().split(BEGIN)
    old, after = rest.split(END)
    new = picture(sources)
    if os.environ.get("PEERFS_WRITE_DOCS"):
        document.write_text(before + BEGIN + new + END + after)
    elif old != new:
        problems.append("docs/development.md shows other includes than there are: PEERFS_WRITE_DOCS=1 ctest -R layers")
    print("\n".join(problems) or "the layers hold")
    return 1 if problems else 0


sys.exit(main())
