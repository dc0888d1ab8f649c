#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The measurements of test/bench/run, which starts it in pid and mount namespaces of its own.

Every measurement is a list of numbers for each way to the same files, taken in turns:
  direct       /proc/<pid>/root
  passthrough  peerfs, reads and writes by the kernel alone
  daemon       peerfs -o passthrough=off
  bindfs       bindfs on /proc/<pid>/root, with its defaults
"""
import argparse
import json
import os
import platform
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time

WAYS = ["direct", "passthrough", "daemon", "bindfs"]
TICK = os.sysconf("SC_CLK_TCK")
TRACE = "/sys/kernel/tracing"
UUID = "0a1b2c3d-0000-4000-8000-000000000000"


def say(text):
    print("==", text, file=sys.stderr, flush=True)


def sh(command, **kw):
    return subprocess.run(["bash", "-c", "set -o pipefail; " + command], check=True, stdout=subprocess.DEVNULL, **kw)


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def wait_until(condition, seconds=10.0, step=0.002):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("measure.py: waited in vain")
        time.sleep(step)


def status_kib(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(rf"^{field}:\s+(\d+)", f.read(), re.M).group(1))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def forget_inodes():
    """Names and inodes of all filesystems alike leave the kernel's caches."""
    write("/proc/sys/vm/drop_caches", "2")


class Mount:
    """A daemon that serves the container's files, or none (direct)."""

    def __init__(self, bench, way):
        self.bench, self.way = bench, way
        self.mnt = f"{bench.work}/mnt-{way}"
        self.process = None
        os.makedirs(self.mnt, exist_ok=True)

    def command(self):
        if self.way == "bindfs":
            return ["bindfs", "-f", f"/proc/{self.bench.pid}/root", self.mnt]
        options = ["-o", "passthrough=off"] if self.way == "daemon" else []
        return [f"{self.bench.work}/{'before' if self.way == 'before' else 'peerfs'}", "-f", *options, self.mnt]

    def start(self, files=None):
        if self.way == "direct":
            return 0.0
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        before = os.stat(self.mnt).st_dev
        log = open(f"{self.bench.work}/{self.way}.log", "a", encoding="utf-8")
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        preexec_fn=limit)
        log.close()
        wait_until(lambda: os.stat(self.mnt).st_dev != before and os.listdir(self.mnt), step=0.0002)
        return time.monotonic() - begin

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def restart(self):
        self.stop()
        return self.start()

    @property
    def root(self):
        if self.way == "direct":
            return f"/proc/{self.bench.pid}/root"
        return self.mnt if self.way == "bindfs" else f"{self.mnt}/bench/root"

    def cpu(self):
        return cpu_seconds(self.process.pid) if self.process else 0.0


class Requests:
    """Counts the requests that the kernel sends to one FUSE mount, by its tracepoint, in a trace instance of
    our own."""

    def __init__(self, bench):
        self.dir = f"{TRACE}/instances/{os.path.basename(bench.work)}"
        if not os.path.exists(f"{TRACE}/instances"):
            subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACE], check=False, stderr=subprocess.DEVNULL)
        self.event = f"{self.dir}/events/fuse/fuse_request_send"
        try:
            os.makedirs(self.dir, exist_ok=True)
            write(f"{self.dir}/buffer_size_kb", "32768")
        except OSError:
            pass
        self.available = os.path.exists(self.event)

    def count(self, mount, work):
        write(f"{self.event}/filter", f"connection == {os.minor(os.stat(mount.mnt).st_dev)}")
        write(f"{self.dir}/trace", "")
        write(f"{self.event}/enable", "1")
        try:
            work(mount)
        finally:
            write(f"{self.event}/enable", "0")
        found = {}
        with open(f"{self.dir}/trace", encoding="ascii", errors="replace") as f:
            for line in f:
                kind = re.search(r"opcode \d+ \(FUSE_(\w+)\)", line)
                if kind:
                    name = kind.group(1).lower()
                    found[name] = found.get(name, 0) + 1
        return found

    def close(self):
        if os.path.exists(self.dir):
            os.rmdir(self.dir)


class Bench:
    def __init__(self, args):
        self.work, self.args = args.work, args
        self.quick, self.runs = args.quick, args.runs
        self.results, self.facts = {}, {}
        self.before, self.seconds_before = {"results": {}, "facts": {}}, 0
        self.helper = f"{self.work}/helper"
        self.scale = 10 if self.quick else 1
        self.make_files()
        self.start_container()
        self.ways = ["direct", "passthrough", "before"] if os.path.exists(f"{self.work}/before") else WAYS
        self.mounts = {way: Mount(self, way) for way in self.ways}

    def wants(self, part):
        return not self.args.only or re.search(self.args.only, part) is not None

    # --- the container

    def make_files(self):
        say("making files")
        image = f"{self.work}/image"
        os.makedirs(f"{image}/srv")
        os.makedirs(f"{self.work}/c/upper/srv")
        shutil.copy(self.helper, f"{image}/srv/helper")
        dirs = 200 // self.scale
        self.trees = {"20k": ("t20k", dirs * 100)}
        sh(f"{self.helper} tree {image}/srv/t20k {dirs} 100 0")
        sh(f"{self.helper} tree {image}/srv/small 20 100 4096")
        if not self.quick and self.wants("large"):
            self.trees["200k"] = ("t200k", 200000)
            sh(f"{self.helper} tree {image}/srv/t200k 2000 100 0")
        for tree in ("t20k", "small", "t200k"):
            if os.path.exists(f"{image}/srv/{tree}"):
                with open(f"{self.work}/{tree}.list", "w", encoding="ascii") as f:
                    subprocess.run([self.helper, "list", f"{image}/srv/{tree}"], check=True, stdout=f)
        self.size = 512 // self.scale
        sh(f"head -c {self.size}M /dev/urandom >{image}/srv/read.dat")
        sh(f"head -c {self.size // 2}M /dev/zero >{self.work}/c/upper/srv/write.dat")
        os.sync()

    def cgroup(self, name):
        for top in ("", "/systemd", "/unified", "/pids"):
            if os.path.exists(f"/sys/fs/cgroup{top}/cgroup.procs"):
                path = f"/sys/fs/cgroup{top}/{os.path.basename(self.work)}/{name}"
                os.makedirs(path, exist_ok=True)
                return path
        sys.exit("measure.py: no cgroup hierarchy")

    def start_container(self):
        instance = f"{self.work}/pods/{UUID}/containers/bench/0123abcd"
        os.makedirs(os.path.dirname(instance))
        write(instance, "")
        cgroup = self.cgroup("libpod-" + os.urandom(32).hex())
        process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "bash", self.args.imitate,
                                    f"{self.work}/image:{self.args.root}", f"{self.work}/c", instance, cgroup,
                                    "/srv/helper", "serve", "/srv/bench.sock"])
        self.pid = process.pid
        wait_until(lambda: os.path.exists(f"/proc/{self.pid}/root/srv/bench.sock"))
        time.sleep(2.5)

    # --- taking numbers

    def record(self, name, unit, way, value, cpu=None):
        entry = self.results.setdefault(name, {"unit": unit, "values": {}, "cpu": {}})
        entry["values"].setdefault(way, []).append(value)
        if cpu is not None:
            entry["cpu"].setdefault(way, []).append(cpu)

    def rounds(self, name, unit, work, ways=None, prepare=None, runs=None):
        """In each round once each way; each round begins with another one."""
        ways = ways or self.ways
        for run in range(runs or self.runs):
            for way in ways[run % len(ways):] + ways[:run % len(ways)]:
                mount = self.mounts[way]
                if prepare:
                    prepare(mount)
                before = mount.cpu()
                value = work(mount)
                self.record(name, unit, way, value, mount.cpu() - before)
        say(f"{name}: " + "  ".join(f"{way} {statistics.median(v):.4g}"
                                    for way, v in self.results[name]["values"].items()) + f" {unit}"
            + self.against_before(self.results[name]["values"]))

    @staticmethod
    def against_before(values):
        """The median of the rounds' ratios: within a round both saw the same machine."""
        if "before" not in values:
            return ""
        ratios = [now / before for now, before in zip(values["passthrough"], values["before"])]
        return f"  of before {statistics.median(ratios):.3f}"

    def start_mounts(self):
        for mount in self.mounts.values():
            if not mount.process:
                mount.start()

    def stop_mounts(self):
        for mount in self.mounts.values():
            mount.stop()

    def timed(self, command):
        begin = time.monotonic()
        subprocess.run(["bash", "-c", "set -o pipefail; " + command], check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - begin

    # --- parts

    def fio(self, mount, file, rw, bs, jobs=1, engine="psync"):
        text = output("fio", "--name=x", f"--filename={mount.root}/srv/{file}", f"--rw={rw}", f"--bs={bs}",
                      f"--ioengine={engine}", "--invalidate=0", "--time_based", "--gtod_reduce=1", "--randrepeat=0",
                      "--norandommap", f"--runtime={500 if self.quick else 1000}ms", f"--numjobs={jobs}",
                      "--group_reporting", "--allow_file_create=0", "--fallocate=none", "--output-format=json")
        job = json.loads(text[text.index("{"):])["jobs"][0]
        side = job["write" if "write" in rw else "read"]
        return side["bw_bytes"] if bs == "128k" else side["iops"]

    def part_fio(self):
        self.start_mounts()
        for mount in self.mounts.values():
            sh(f"cat {mount.root}/srv/read.dat {mount.root}/srv/write.dat >/dev/null")
        for name, rw, bs, engine in (("sequential read 128k", "read", "128k", "psync"),
                                     ("sequential write 128k", "write", "128k", "psync"),
                                     ("random read 4k", "randread", "4k", "psync"),
                                     ("random write 4k", "randwrite", "4k", "psync"),
                                     ("mmap read 4k", "randread", "4k", "mmap")):
            file = "write.dat" if "write" in rw else "read.dat"
            self.rounds(name, "B/s" if bs == "128k" else "1/s",
                        lambda mount, a=(file, rw, bs, 1, engine): self.fio(mount, *a))
        sh("sync")

    def walks(self, tree):
        name, files = self.trees[tree]
        list_file = f"{self.work}/{name}.list"

        def storm(mount):
            return float(output(self.helper, "stat", f"{mount.root}/srv/{name}", list_file))

        def by(command):
            return lambda mount: self.timed(command.format(dir=f"{mount.root}/srv/{name}"))

        return [("find", by("find {dir}")), ("find -size", by("find {dir} -size +1k")), ("stat storm", storm),
                ("tar", by("tar -c -C {dir} . | cat")), ("grep -r", by("grep -r no-such-word {dir} || [ $? = 1 ]"))]

    def part_walk(self, tree="20k"):
        walks = self.walks(tree)
        few = {"find -size": "first cold", "stat storm": "first", "tar": "first"}
        self.start_mounts()
        for name, work in walks:
            states = {"first": lambda mount: mount.restart(), "cold": lambda mount: forget_inodes(), "warm": work}
            work(self.mounts["direct"])
            for state, prepare in states.items():
                if tree == "20k" or state in few.get(name, ""):
                    self.rounds(f"{name}, {tree}, {state}", "s", work, prepare=prepare)
        self.stop_mounts()

    def part_large(self):
        if "200k" in self.trees:
            self.part_walk("200k")

    def part_requests(self):
        """How many requests a walk sends, by kind: the proof that the kernel answers by itself."""
        mount = self.mounts["passthrough"]
        counter = Requests(self)
        found = {}
        try:
            for name, work in self.walks("20k") if counter.available else []:
                mount.restart()
                found[f"{name}, first"] = counter.count(mount, work)
                found[f"{name}, warm"] = counter.count(mount, work)

            def one_file(mount):
                sh(f"cat {mount.root}/srv/small/d0000/file0000.h")
            mount.start() if not mount.process else None
            def connect(mount):
                output(self.helper, "connect", f"{mount.mnt}/bench/sockets/srv/bench.sock", "1")
            for name in ("first", "again") if counter.available else []:
                found[f"cat of one file, {name}"] = counter.count(mount, one_file)
            for name in ("first", "again") if counter.available else []:
                found[f"connect to a socket, {name}"] = counter.count(mount, connect)
        finally:
            counter.close()
            self.stop_mounts()
        self.facts["requests"] = found
        for name, kinds in found.items():
            say(f"requests, {name}: {kinds}")

    def part_open(self):
        self.start_mounts()
        seconds = "0.5" if self.quick else "1.5"
        for clients in (1, 2, 4):
            self.rounds(f"open+read+close, {clients} clients", "1/s", lambda mount: float(
                output(self.helper, "open", f"{mount.root}/srv/small", f"{self.work}/small.list", str(clients),
                       seconds)))

    def part_clients(self):
        self.start_mounts()
        for mount in self.mounts.values():
            sh(f"cat {mount.root}/srv/read.dat >/dev/null")
        for clients in (1, 2, 4):
            self.rounds(f"random read 4k, {clients} clients", "1/s",
                        lambda mount: self.fio(mount, "read.dat", "randread", "4k", clients))

        def parallel(mount):
            base = f"{mount.root}/srv/t20k"
            jobs = [f"find {base}/d*[{d}] -size +1k & " for d in {1: ["0-9"], 2: ["0-4", "5-9"],
                                                                     4: ["01", "234", "56", "789"]}[clients]]
            return self.timed("".join(jobs) + "wait")
        for clients in (1, 2, 4):
            self.rounds(f"find -size shared out, first, {clients} clients", "s", parallel,
                        prepare=lambda m: m.restart())
        self.stop_mounts()

    def part_socket(self):
        self.start_mounts()
        paths = {"direct": f"/proc/{self.pid}/root/srv/bench.sock"}
        for way in ("passthrough", "daemon"):
            paths[way] = f"{self.mounts[way].mnt}/bench/sockets/srv/bench.sock"
        ways = ["direct", "passthrough"]
        count, mib = ("500", "256") if self.quick else ("5000", "1024")
        self.rounds("socket connect", "1/s", lambda mount: float(
            output(self.helper, "connect", paths[mount.way], count)), ways=ways, runs=self.runs * 2)
        self.rounds("socket receive 1 GiB", "B/s", lambda mount: float(
            output(self.helper, "receive", paths[mount.way], mib)), ways=ways, runs=self.runs * 2)

    def part_start(self):
        self.stop_mounts()
        self.rounds("start-up", "s", lambda mount: mount.restart(), ways=["passthrough", "daemon", "bindfs"],
                    runs=self.runs * 2)
        for mount in self.mounts.values():
            if mount.process:
                self.facts.setdefault("rss at start", {})[mount.way] = status_kib(mount.process.pid, "VmRSS")
        self.stop_mounts()

    # --- many containers

    def containers(self, n, processes):
        folder = f"{self.work}/many"
        cgroup = self.cgroup("many")
        extra = processes // n - 1
        process = subprocess.Popen([self.helper, "containers", folder, cgroup, str(n), str(extra)],
                                   stdout=subprocess.PIPE, text=True)
        if process.stdout.readline() != "ready\n":
            sys.exit("measure.py: the containers did not start")
        # A young process is looked at again: it may join a container, or be a runtime that still prepares one.
        time.sleep(11)
        return process, cgroup, n * (extra + 1)

    def end_containers(self, process, cgroup):
        process.kill()
        process.wait()
        sh(f"for p in $(cat {cgroup}/*/cgroup.procs); do kill -9 $p 2>/dev/null; done; true")
        wait_until(lambda: subprocess.run(["bash", "-c",
                                           f"rmdir {cgroup}/* 2>/dev/null; ! ls -d {cgroup}/*/ 2>/dev/null"],
                                          stdout=subprocess.DEVNULL, check=False).returncode == 0, 60, 0.2)
        shutil.rmtree(f"{self.work}/many")

    def times(self, name, work, count):
        for i in range(count):
            begin = time.monotonic()
            work(i)
            self.record(name, "s", "passthrough", time.monotonic() - begin)

    def part_many(self):
        self.stop_mounts()
        mount = self.mounts["passthrough"]
        sizes = [(3, 1000), (100, 1000), (1000, 1000), (3, 10000), (100, 10000)]
        for n, processes in sizes[:2] if self.quick else sizes:
            process, cgroup, total = self.containers(n, processes)
            label = f"{n} containers, {processes} processes"
            self.times(f"first ls, {label}", lambda i: mount.restart(), self.runs)
            if len(os.listdir(mount.mnt)) < n:
                sys.exit(f"measure.py: {len(os.listdir(mount.mnt))} containers instead of {n}")
            count = 20 if self.quick else 100
            self.times(f"listing of /proc, {label}", lambda i: os.listdir("/proc"), count)
            names = sorted(os.listdir(mount.mnt))
            before = mount.cpu()
            self.times(f"ls, {label}", lambda i: os.listdir(mount.mnt), count)
            self.facts.setdefault("cpu per ls", {})[label] = (mount.cpu() - before) / count
            self.times(f"lookup, {label}", lambda i: os.stat(f"{mount.mnt}/{names[i % len(names)]}"), count)
            self.times(f"lookup of no container, {label}", lambda i: os.path.exists(f"{mount.mnt}/none"), count)
            self.facts.setdefault("rss", {})[label] = status_kib(mount.process.pid, "VmRSS")
            if (n, processes) == sizes[1]:
                self.prove_incremental(mount, cgroup)
            mount.stop()
            self.end_containers(process, cgroup)
            for what in ("first ls", "ls", "lookup", "lookup of no container"):
                values = self.results[f"{what}, {label}"]["values"]["passthrough"]
                say(f"{what}, {label}: {statistics.median(values) * 1e3:.3f} ms")

    def prove_incremental(self, mount, cgroup):
        """What the daemon opens for a listing where nothing, and where one process, is new."""
        log = f"{self.work}/strace"
        tracer = subprocess.Popen(["strace", "-f", "-q", "-ttt", "-e", "trace=open,openat,openat2", "-o", log, "-p",
                                   str(mount.process.pid)], stderr=subprocess.DEVNULL)
        wait_until(lambda: status_kib(mount.process.pid, "TracerPid") != 0)
        marks, names = [], ["ls, nothing new", "ls, one process new"]
        time.sleep(1)
        os.listdir(mount.mnt)
        # A process of no container may still join one while it is young: ten seconds.
        time.sleep(11)
        marks.append(time.time())
        os.listdir(mount.mnt)
        time.sleep(0.2)
        new = subprocess.Popen([self.helper, "sleep"])
        write(next(e.path for e in os.scandir(cgroup) if e.is_dir()) + "/cgroup.procs", str(new.pid))
        marks.append(time.time())
        os.listdir(mount.mnt)
        time.sleep(0.2)
        marks.append(time.time())
        tracer.terminate()
        tracer.wait()
        new.kill()
        new.wait()
        with open(log, encoding="utf-8", errors="replace") as f:
            lines = [(float(m.group(1)), m.group(0)) for m in re.finditer(r"^\d+ +(\d+\.\d+) open.*", f.read(), re.M)]
        found = {}
        for name, begin, end in zip(names, marks, marks[1:]):
            calls = [text for when, text in lines if begin <= when < end]
            found[name] = {"all files": len(calls), "cgroup files": sum('cgroup"' in text for text in calls)}
        self.facts["files opened by a listing"] = found
        say(f"files opened: {found}")

    def part_memory(self):
        self.stop_mounts()
        mount = self.mounts["passthrough"]
        target = f"/proc/{self.pid}/root/mnt"
        sh(f"nsenter -t {self.pid} -m mount -t tmpfs -o size=4g,nr_inodes=2m tmpfs /mnt")
        dirs = 1000 // self.scale
        sh(f"{self.helper} tree {target}/t1m {dirs} 1000 1")
        mount.start(files=256)
        pid = mount.process.pid
        found = {"after start": status_kib(pid, "VmRSS")}

        def walk(path):
            before, begin = mount.cpu(), time.monotonic()
            n = int(output("bash", "-c", f"find {mount.root}/{path} -size -1000k -type f | wc -l"))
            taken = time.monotonic() - begin
            rss = status_kib(pid, "VmRSS")
            forget_inodes()
            time.sleep(3)
            return {"files": n, "seconds": taken, "cpu seconds": mount.cpu() - before, "right after": rss,
                    "forgotten": status_kib(pid, "VmRSS"), "peak": status_kib(pid, "VmHWM"),
                    "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}

        found["small"] = walk("srv/t20k")
        found["large"] = walk("mnt/t1m")
        found["again"] = walk("srv/t20k")
        say(f"memory: {found}")
        self.facts["memory"] = found
        mount.stop()
        sh(f"nsenter -t {self.pid} -m umount /mnt")

    # --- all of it

    def environment(self):
        def first(*command):
            return (subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
                    .stdout.splitlines() or ["?"])[0]
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            cpu = re.search(r"model name\s*:\s*(.*)", f.read())
        with open("/proc/meminfo", encoding="ascii") as f:
            memory = int(f.read().split()[1]) // 1024
        return {"date": time.strftime("%Y-%m-%d"), "kernel": platform.release(), "machine": platform.machine(),
                "cpu": cpu.group(1) if cpu else "?", "cores": os.cpu_count(), "memory MiB": memory,
                "peerfs": output(f"{self.work}/peerfs", "--version").strip().replace("\n", ", "),
                "bindfs": first("bindfs", "--version"),
                "fio": first("fio", "--version"), "filesystem": first("stat", "-f", "-c", "%T", self.work),
                "system": first("bash", "-c", ". /etc/os-release; echo $PRETTY_NAME"),
                "runs": self.runs, "nice": os.nice(0), "cpus": len(os.sched_getaffinity(0)),
                "realtime": os.sched_getscheduler(0) != os.SCHED_OTHER,
                "load before": os.getloadavg()[0]}

    def run(self):
        parts = [("fio", self.part_fio), ("open", self.part_open), ("clients", self.part_clients),
                 ("walk", self.part_walk), ("requests", self.part_requests), ("socket", self.part_socket),
                 ("start", self.part_start), ("many", self.part_many), ("memory", self.part_memory),
                 ("large", self.part_large)]
        if self.args.add:
            with open(self.args.out, encoding="ascii") as f:
                self.before = json.load(f)
            self.seconds_before = self.before["facts"]["environment"]["seconds"]
        self.facts["environment"] = self.before["facts"].get("environment") or self.environment()
        begin = time.monotonic()
        try:
            for name, part in parts:
                if self.wants(name):
                    say(f"part {name}, {time.monotonic() - begin:.0f} s")
                    part()
                    self.save(begin)
        finally:
            self.stop_mounts()

    def save(self, begin):
        self.facts["environment"]["seconds"] = round(time.monotonic() - begin) + self.seconds_before
        self.facts["environment"]["load after"] = os.getloadavg()[0]
        with open(self.args.out, "w", encoding="ascii") as f:
            json.dump({"facts": self.before["facts"] | self.facts, "results": self.before["results"] | self.results}, f,
                      indent=1)


def main():
    parser = argparse.ArgumentParser()
    for name in ("work", "root", "imitate", "out", "only"):
        parser.add_argument("--" + name)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--add", action="store_true")
    Bench(parser.parse_args()).run()


main()
