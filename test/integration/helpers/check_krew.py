#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""check_krew.py MANIFEST ARCHIVE: what krew asks of a manifest, and that the archive is the one that it names.

The rules are those of krew's "Writing Krew plugin manifests", "Naming guide" and internal/index/validation/validate.go.
"""
import hashlib
import os
import re
import sys
import tarfile

import yaml

SEMVER = r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
FIELDS = {"version", "homepage", "shortDescription", "description", "caveats", "platforms"}
wrong = []


def check(what, holds):
    if not holds:
        wrong.append(what)


def check_head(plugin, name):
    check("apiVersion", plugin.get("apiVersion") == "krew.googlecontainertools.github.com/v1alpha2")
    check("kind", plugin.get("kind") == "Plugin")
    check("name: as the file", plugin["metadata"]["name"] == name)
    check("name: lower case and hyphens, without kube", re.fullmatch(r"(?!kube)[a-z0-9-]+", name))
    spec = plugin["spec"]
    check("no other field", set(spec) <= FIELDS)
    check("version", re.fullmatch(SEMVER, spec["version"]))
    check("homepage", spec["homepage"].startswith("https://"))
    check("shortDescription: one line, at most 50 characters", re.fullmatch(r".{1,50}", spec["shortDescription"]))
    check("description: lines of at most 80 characters", max(map(len, spec["description"].split("\n"))) <= 80)
    check("platforms", spec["platforms"])


def check_platform(platform, version, path, data):
    selector = platform["selector"]
    keys = set(selector.get("matchLabels", {})) | {one["key"] for one in selector.get("matchExpressions", [])}
    check("selector", keys and keys <= {"os", "arch"})
    check("uri: of a release of that version",
          f"/{version}/" in platform["uri"] and platform["uri"].startswith("https://"))
    check("uri: an archive", re.search(r"\.(tar\.gz|zip)$", platform["uri"]))
    check("uri: this archive", os.path.basename(platform["uri"]) == os.path.basename(path))
    check("sha256", platform["sha256"] == hashlib.sha256(data).hexdigest())
    with tarfile.open(path) as archive:
        members = {member.name: member for member in archive}
    check("files: all in the archive", all(one["from"] in members and one["to"] == "." for one in platform["files"]))
    check("bin: one of the files", platform["bin"] in [one["from"] for one in platform["files"]])
    check("bin: may be executed", members[platform["bin"]].mode & 0o111 == 0o111)
    check("a license", "LICENSE" in members)


def main():
    manifest, archive = sys.argv[1:]
    with open(manifest, encoding="utf-8") as file:
        plugin = yaml.safe_load(file)
    check_head(plugin, os.path.basename(manifest).removesuffix(".yaml"))
    with open(archive, "rb") as file:
        data = file.read()
    for platform in plugin["spec"]["platforms"]:
        check_platform(platform, plugin["spec"]["version"], archive, data)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


sys.exit(main())
