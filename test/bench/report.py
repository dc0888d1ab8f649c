#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes performance.md and img/*.svg from the results of measure.py: report.py RESULTS.json FOLDER"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

WAYS = ["direct", "passthrough", "daemon", "bindfs"]
COLOURS = {"direct": "#999999", "passthrough": "#1b7837", "daemon": "#7fbf7b", "bindfs": "#762a83"}


def median(values):
    return statistics.median(values)


class Results:
    def __init__(self, path):
        with open(path, encoding="ascii") as f:
            data = json.load(f)
        self.facts, self.results = data["facts"], data["results"]

    def has(self, name, way="direct"):
        return way in self.results.get(name, {"values": {}})["values"]

    def value(self, name, way="direct"):
        return median(self.results[name]["values"][way])

    def cpu(self, name, way):
        return median(self.results[name]["cpu"][way])

    def ratio(self, name, way, base="direct"):
        """The median of the rounds' ratios: within a round all ways saw the same machine."""
        pairs = zip(self.results[name]["values"][way], self.results[name]["values"][base])
        return median([a / b for a, b in pairs if b])

    def spread(self, name, way):
        values = self.results[name]["values"][way]
        return (max(values) - min(values)) / median(values)


def quantity(value, unit):
    if unit == "B/s":
        return f"{value / 1e9:.2f} GB/s"
    if unit == "1/s":
        return f"{value / 1e3:.1f}k/s" if value >= 1000 else f"{value:.0f}/s"
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def ratio_table(results, names, ways=WAYS[1:]):
    rows = []
    for name in names:
        if results.has(name):
            unit = results.results[name]["unit"]
            row = [name, quantity(results.value(name), unit)]
            for way in ways:
                row.append(f"{results.ratio(name, way):.2f}" if results.has(name, way) else "")
            rows.append(row)
    return table(["", "direct"] + ways, rows)


def chart(path, title, label, groups, log=True):
    """groups: (name, {way: number}); one bar for each way that is there."""
    ways = [way for way in WAYS[1:] if any(way in numbers for _, numbers in groups)]
    with tempfile.NamedTemporaryFile("w", suffix=".dat", encoding="utf-8") as data:
        for name, numbers in groups:
            data.write(f'"{name}" ' + " ".join(f"{numbers.get(way, 'NaN')}" for way in ways) + "\n")
        data.flush()
        plots = ", ".join(f'"{data.name}" using {i + 2}:xtic(1) title "{way}" linecolor rgb "{COLOURS[way]}"'
                          for i, way in enumerate(ways))
        script = f'''set terminal svg size 900,420 dynamic font "sans-serif,12" background rgb "white"
set output "{path}"
set title "{title}"
set ylabel "{label}"
set style data histogram
set style histogram clustered gap 1
set style fill solid noborder
set boxwidth 0.9
set xtics rotate by -20 nomirror
set grid ytics linecolor rgb "#dddddd"
set key top right
{"set logscale y" if log else "set yrange [0:*]"}
set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead linewidth 1.5 linecolor rgb "#444444"
plot {plots}
'''
        subprocess.run(["gnuplot"], input=script, text=True, check=True)


def groups_of(results, names, ways=WAYS[1:]):
    return [(name, {way: round(results.ratio(name, way), 4) for way in ways if results.has(name, way)})
            for name in names if results.has(name)]


FIO = ["sequential read 128k", "sequential write 128k", "random read 4k", "random write 4k", "mmap read 4k"]
WALKS = ["find", "find -size", "stat storm", "tar", "grep -r"]


def names_of_walks(tree):
    return [f"{walk}, {tree}, {state}" for walk in WALKS for state in ("first", "cold", "warm")]


def verdicts(results):
    """The targets, each with what was measured."""
    rows = []

    def row(what, limit, value, met, form="{:.2f}"):
        rows.append([what, limit, form.format(value), "yes" if met else "**no**"])

    for name in FIO:
        if results.has(name):
            limit = 0.90 if "random" in name else 0.95
            ratio = results.ratio(name, "passthrough")
            row(f"{name}: rate, of direct", f">= {limit:.2f}", ratio, ratio >= limit)
    for state, walk, limit in (("warm", "find -size", 1.0), ("first", "find -size", 4.0), ("cold", "find -size", 4.0),
                               ("first", "tar", 2.0), ("warm", "tar", 2.0)):
        name = f"{walk}, 20k, {state}"
        if results.has(name):
            ratio = results.ratio(name, "passthrough")
            row(f"{name}: time, of direct", f"<= {limit:.1f}", ratio, ratio <= limit)
            ratio = results.ratio(name, "passthrough", "bindfs")
            row(f"{name}: time, of bindfs", "<= 0.33", ratio, ratio <= 1 / 3)
    name = "open+read+close, 1 clients"
    if results.has(name):
        ratio = results.ratio(name, "passthrough", "bindfs")
        row("open+read+close of 4 KiB files: rate, of bindfs", ">= 3", ratio, ratio >= 3)
    for name in ("socket connect", "socket receive 1 GiB"):
        if results.has(name):
            ratio = results.ratio(name, "passthrough")
            row(f"{name}: rate, of direct", ">= 0.97", ratio, ratio >= 0.97)
    for label, limit in (("100 containers, 1000 processes", 2), ("1000 containers, 1000 processes", 2),
                         ("3 containers, 10000 processes", 10), ("100 containers, 10000 processes", 10)):
        name = f"ls, {label}"
        if results.has(name, "passthrough"):
            ms = results.value(name, "passthrough") * 1e3
            row(f"{name}, nothing new: ms", f"< {limit}", ms, ms < limit)
    files = results.facts.get("files opened by a listing")
    if files:
        n = files["ls, nothing new"]["cgroup files"]
        row("cgroup files read by a listing where nothing is new", "0", n, n == 0, "{:.0f}")
    memory = results.facts.get("memory")
    if memory:
        growth = memory["large"]["forgotten"] / memory["small"]["forgotten"] - 1
        row("memory after the large walk, of that after the small one", "within 10 %", growth * 100, abs(growth) <= 0.1,
            "{:+.0f} %")
        peak = memory["large"]["peak"] / 1024
        row("memory at the peak, MiB", "< 128", peak, peak < 128, "{:.0f}")
    return table(["target", "limit", "measured", "met"], rows)


def requests_table(results):
    rows = []
    for name, kinds in results.facts.get("requests", {}).items():
        rows.append([name, str(sum(kinds.values())), ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))])
    return table(["work", "requests", "of which"], rows) if rows else ""


def many_table(results):
    rows = []
    for label in results.facts.get("rss", {}):
        cells = [label]
        for what in ("first ls", "ls", "listing of /proc", "lookup", "lookup of no container"):
            cells.append(f"{results.value(f'{what}, {label}', 'passthrough') * 1e3:.2f} ms")
        cells.append(f"{results.facts['cpu per ls'][label] * 1e3:.2f} ms")
        cells.append(f"{results.facts['rss'][label] / 1024:.1f} MiB")
        rows.append(cells)
    return table(["", "start to first ls", "ls", "of /proc itself", "lookup", "lookup of a name that is none",
                  "CPU of the daemon, per ls", "memory of the daemon"], rows)


def cpu_table(results, names):
    rows = []
    for name in names:
        if results.has(name):
            row = [name]
            for way in WAYS[1:]:
                value = results.cpu(name, way)
                row.append(f"{value:.2f} s")
            rows.append(row)
    return table(["CPU of the daemon for one run"] + WAYS[1:], rows)


def memory_table(results):
    memory = results.facts["memory"]
    rows = []
    for key, what in (("small", "first walk"), ("large", "second walk"), ("again", "third walk")):
        m = memory[key]
        rows.append([f"{what}: {m['files']} files", f"{m['seconds']:.1f} s", f"{m['cpu seconds']:.1f} s",
                     f"{m['right after'] / 1024:.1f} MiB", f"{m['forgotten'] / 1024:.1f} MiB",
                     f"{m['peak'] / 1024:.1f} MiB", str(m["descriptors"])])
    return table(["`find -size`, daemon under `ulimit -n 256`", "time", "CPU", "memory right after", "once forgotten",
                  "peak so far", "descriptors"], rows)


def machine(results):
    e = results.facts["environment"]
    return "\n".join([
        f"- {e['cpu']}, {e['cores']} cores, {e['memory MiB'] / 1024:.0f} GiB, {e['machine']}; "
        f"{e['system']}, Linux {e['kernel']}",
        f"- {e['peerfs'].replace(chr(10), ', ')}; {e['bindfs']}; {e['fio']}",
        f"- container root: overlay over {e['filesystem']}",
        f"- {e['date']}, {e['runs']} rounds, {e['seconds']} s; load of the machine {e['load before']:.1f} before, "
        f"{e['load after']:.1f} at the end" + (f"; all of it at nice {e['nice']}" if e["nice"] else "")
        + (f"; all of it on {e['cpus']} of the cores" if e["cpus"] < e["cores"] else "")
        + ("; all of it with real-time priority, other work being on the machine" if e["realtime"] else "")])


def document(results, notes):
    small = names_of_walks("20k")
    large = names_of_walks("200k")
    opens = [f"open+read+close, {n} clients" for n in (1, 2, 4)]
    clients = [f"random read 4k, {n} clients" for n in (1, 2, 4)] + [
        f"find -size shared out, first, {n} clients" for n in (1, 2, 4)]
    parts = ["# Performance", """What a container's files cost through peerfs, against `/proc/<pid>/root` itself. `test/bench/run` measured it and wrote this
page. Numbers are ratios to *direct*: medians over the rounds of the ratio within each round. In a round every way has its
turn on the same files. For rates more is better, for times less.""",
             "- **direct**: `/proc/<pid>/root`, the limit\n"
             "- **passthrough**: peerfs with kernel passthrough (the static binary)\n"
             "- **daemon**: the same binary with `-o passthrough=off`\n"
             "- **bindfs**: bindfs on `/proc/<pid>/root`, with its defaults",
             "## Targets", verdicts(results), notes]
    if results.has(FIO[0]):
        parts += ["## Reading and writing", "![Rates of reading and writing](img/io.svg)", ratio_table(results, FIO)]
    if results.has(small[0]):
        parts += ["## Walking", "![Times of walks](img/walks.svg)", ratio_table(results, small)]
    if results.has(large[0]):
        parts += ["### 200,000 files", ratio_table(results, large)]
    if results.facts.get("requests"):
        parts += ["### Requests", "What the kernel asked the daemon (the tracepoint `fuse_request_send`), "
                  "`first` on a fresh mount, `warm` right after:", requests_table(results)]
    if results.has(opens[0]):
        parts += ["## Many small files, several clients", "![Rates of opening](img/open.svg)",
                  ratio_table(results, opens + clients)]
    if results.has("socket connect"):
        parts += ["## Sockets", ratio_table(results, ["socket connect", "socket receive 1 GiB"], ["passthrough"])]
    if results.facts.get("rss"):
        parts += ["## Many containers and processes", many_table(results)]
        files = results.facts.get("files opened by a listing", {})
        parts += ["Files that the daemon opened for a listing (strace, 100 containers, 1,000 processes):",
                  table(["", "all", "cgroup files"],
                        [[k, str(v["all files"]), str(v["cgroup files"])] for k, v in files.items()])]
    if results.has("start-up", "passthrough"):
        rows = [[way, quantity(results.value("start-up", way), "s"),
                 f"{results.facts['rss at start'].get(way, 0) / 1024:.1f} MiB"] for way in WAYS[1:]]
        parts += ["## Start-up", "From exec to the first answered listing.", table(["", "time", "memory"], rows)]
    if results.facts.get("memory"):
        parts += ["## Memory", memory_table(results)]
    if results.has(small[0]):
        parts += ["## CPU", cpu_table(results, small + opens[:1])]
    parts += ["## Method", METHOD, "### Machine", machine(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


METHOD = """- One container, made by `test/integration/imitate.sh`: the lower layer of its overlay root holds the files. The written
  file is in the upper layer from the start. All ways lead to the same files; each round starts with another way.
- *first*: the first walk over a mount made just before; the filesystems below have everything cached, so direct is at its
  best. *cold*: `echo 2 > /proc/sys/vm/drop_caches` before each walk, the same for every way: names and inodes of all
  filesystems are gone. *warm*: right after the same walk, begun within the timeouts of one second. A longer walk outlives
  them.
- 20k and 200k are directories of 100 files each, of 0 to 8 KiB. `find -size` is `find DIR -size +1k`. The stat storm is
  lstat(2) of every path in sorted order by full names, as `git status` does it. tar is `tar -c | cat >/dev/null`. grep looks
  for a word that is nowhere.
- fio: psync or mmap engine, `--invalidate=0` on files in the page cache, 1 s each; a 512 MiB file is read, a 256 MiB
  file written.
- open+read+close: 2,000 files of 4 KiB, one after the other for 1.5 s.
- Sockets: a server in the container on a stream socket; connections one after the other, and one that receives.
- Containers of the last parts: processes with mount namespace, root, cgroup and kubelet mount of their own.
- CPU is the daemon's own, user and system, to 10 ms."""


def main():
    results = Results(sys.argv[1])
    folder = sys.argv[2]
    os.makedirs(f"{folder}/img", exist_ok=True)
    notes_file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "notes.md")
    notes = ""
    if os.path.exists(notes_file):
        with open(notes_file, encoding="utf-8") as f:
            notes = f.read().strip()
    if results.has(FIO[0]):
        chart(f"{folder}/img/io.svg", "Rate, of direct (more is better)", "of direct", groups_of(results, FIO))
    walks = names_of_walks("20k")
    if results.has(walks[0]):
        chart(f"{folder}/img/walks.svg", "Time over 20,000 files, of direct (less is better)", "of direct",
              [(name.replace(", 20k", ""), numbers) for name, numbers in groups_of(results, walks)])
    opens = [f"open+read+close, {n} clients" for n in (1, 2, 4)]
    if results.has(opens[0]):
        chart(f"{folder}/img/open.svg", "open+read+close of 4 KiB files: rate, of direct (more is better)", "of direct",
              groups_of(results, opens), log=False)
    with open(f"{folder}/performance.md", "w", encoding="utf-8") as f:
        f.write(document(results, notes))
    print(f"{folder}/performance.md")


main()
