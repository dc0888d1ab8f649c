#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""check_fields.py FIELDS.tsv [TYPE] <manifest.yaml: every field is one of the list, and has a value of its type.

TYPE is that of the document; without it, each document's kind. Exit status 1 after one line for each error."""
import sys
import yaml

SCALARS = {"string": str, "integer": int, "boolean": bool}


def read_fields(path):
    types = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                type_, field, value, _source = line.rstrip("\n").split("\t")
                types.setdefault(type_, {})[field] = value
    return types


def check(types, type_, value, where):
    if type_.endswith("[]"):
        if not isinstance(value, list):
            return [f"{where}: is no list"]
        return [e for i, item in enumerate(value) for e in check(types, type_[:-2], item, f"{where}[{i}]")]
    if type_ == "{}":
        ok = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
        return [] if ok else [f"{where}: is no map of strings"]
    if type_ in SCALARS:
        return [] if type(value) is SCALARS[type_] else [f"{where}: is no {type_}"]
    if type_ not in types:
        return [f"{where}: nothing is known of {type_}"]
    if not isinstance(value, dict):
        return [f"{where}: is no {type_}"]
    errors = [f"{where}.{field}: no such field of {type_}" for field in value if field not in types[type_]]
    return errors + [e for field in value if field in types[type_]
                     for e in check(types, types[type_][field], value[field], f"{where}.{field}")]


def main():
    types = read_fields(sys.argv[1])
    errors, n = [], 0
    for document in yaml.safe_load_all(sys.stdin):
        if document is not None:
            n += 1
            type_ = sys.argv[2] if len(sys.argv) > 2 else str(document.get("kind"))
            errors += check(types, type_, document, type_)
    if n == 0:
        errors.append("no document")
    print("\n".join(errors), end="\n" if errors else "")
    return 1 if errors else 0


sys.exit(main())
