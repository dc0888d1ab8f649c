#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""check_messages.py TROUBLESHOOTING.md SOURCE.c...: every message of the sources has a heading, its text or the
beginning of it up to a colon or semicolon; and every heading has its message."""
import re
import sys

LITERAL = r'"((?:[^"\\]|\\.)*)"'
LITERALS = rf"{LITERAL}(?:\s*{LITERAL})*"
CALLS = re.compile(
    r"(?:pfs_say \(|usage_error \([a-z]+,|g_set_error \([^\"]*?|\*ret_error\s+= g_strdup(?:_printf)? \(|"
    r"fail \(ret_error,|FUSE_LOG_(?:WARNING|ERR),)"
    rf"\s*({LITERALS})")
HINTS = re.compile(rf"_hint \((?:.|\n)*?\n}}")


def text(literals):
    joined = "".join(m.group(1) for m in re.finditer(LITERAL, literals))
    joined = joined.replace("\\n", "").replace('\\"', '"').removeprefix("peerfs: ")
    return re.sub(r"%[-+0-9.]*l*[a-z]", "…", joined)


def messages(path):
    source = open(path, encoding="utf-8").read()
    found = [text(m.group(1)) for m in CALLS.finditer(source)]
    for function in HINTS.finditer(source):
        found += [text(m.group(1)) for m in re.finditer(rf"return ({LITERALS})", function.group(0))]
    return [m for m in found if m not in ("…", "") and not m.startswith("event=")]


def is_of(heading, message):
    return message == heading or message.startswith((heading + ":", heading + ";", heading + ",")) \
        or message.startswith(heading + "; ")


def main():
    with open(sys.argv[1], encoding="utf-8") as doc:
        headings = re.findall(r"^### `(.*)`$", doc.read(), re.M)
    found = [m for path in sys.argv[2:] for m in messages(path)]
    errors = [f"no heading for: {m}" for m in found if not any(is_of(h, m) for h in headings)]
    errors += [f"no such message: {h}" for h in headings if not any(is_of(h, m) for m in found)]
    print("\n".join(errors) or f"{len(found)} messages")
    return 1 if errors or len(found) < 40 else 0


sys.exit(main())
