#!/usr/bin/env python3
"""What follows from what was measured: the tables of `docs/scaling.md`, printed, or written there.

    bench/model.py [--write | --check]

Reads `cost.jsonl`, `servers.jsonl` and `two_databases.jsonl` in `bench/results`: the medians of what `bench/cost.py`,
`taskyard bench --only W10,W11` and `bench/two_databases.py` wrote there. The model is sums: each life, worker, server and hint costs
what it was measured to cost. What it leaves out stands in the document.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
RESULTS, DOCUMENT = HERE / "results", HERE.parent / "docs" / "scaling.md"

# At most one message each 5 ms goes out from a server (`PAUSE` in `store/src/postgres/exchange.rs`).
HINTS_A_SECOND = 200
# How much of a PostgreSQL's cores is to be planned with: the rest is for vacuum, checkpoints, backups and bad moments.
SHARE = 0.7
# Places to look at: servers and workers.
PLACES = ((1, 1_000), (2, 10_000), (4, 20_000), (8, 50_000), (16, 100_000), (32, 100_000))
CORES = (8, 32)
LOADS = (
    ("W1", "submit, one a call, one caller"), ("W1x64", "submit, one a call, 64 callers"), ("W1-bulk", "submit, 1,000 a call, four callers"),
    ("W5x64", "whole life, three calls each, 64 callers"), ("W2", "whole life: bulk submit, one worker with 1,000 runs"),
)


class Measured:
    def __init__(self):
        self.lines = lines("cost.jsonl")
        self.idle = self.per_second({"part": "idle", "servers_up": 8}, 8)

    def of(self, wanted, is_counted=False):
        found = [line for line in self.lines if wanted.items() <= line.items() and ("proxy" in line) == is_counted]
        if not found:
            sys.exit(f"bench/results/cost.jsonl has no {wanted}")
        return found

    def per_second(self, wanted, share, less=None):
        """The medians of all numbers a second, for one of so many; less what would have been anyway."""
        found = self.of(wanted)
        per = {name: median(total(line, name) / line["seconds"] for line in found) for name in NUMBERS}
        return {name: (value - (less[name] * found[0]["servers_up"] if less else 0)) / share for name, value in per.items()}

    def per_task(self, workload, part="load"):
        """The medians of all numbers a task, less what servers do anyway meanwhile."""
        found = self.of({"part": part, "workload": workload})
        def one(line, name):
            return (total(line, name) - self.idle[name] * line["seconds"] * (1 + line["listeners"])) / line["tasks"]
        per = {name: median(one(line, name) for line in found) for name in NUMBERS}
        per["pace"] = median(line["pace"] for line in found)
        return per

    def trips(self, workload):
        """Round trips a commit, by the runs through the proxy; those of an idle server left out."""
        idle = self.of({"part": "idle", "servers_up": 1}, is_counted=True)[0]
        line = self.of({"part": "load", "workload": workload}, is_counted=True)[0]
        less = line["seconds"] / idle["seconds"]
        return (line["proxy"]["trips"] - idle["proxy"]["trips"] * less) / (line["commits"] - idle["commits"] * less)

    def workers(self, count):
        return self.per_second({"part": "workers", "workers": count}, count, self.idle)

    def memory(self, servers, workers):
        """MB of each server."""
        wanted = {"part": "workers", "workers": workers} if workers else {"part": "idle"}
        return median(median(line["memory_mb"]) for line in self.of({**wanted, "servers_up": servers}))

    def memory_of_one(self, workers=10_000):
        """Of a worker, at the server that it is at."""
        return (self.memory(2, workers) - self.memory(2, 0)) * 2 / workers

    def hints(self):
        """Seconds that one hint takes: of PostgreSQL to take it, and to bring it to one listener; of the server that hears it.
        Where many are sent, for that is where it counts: several are brought together then."""
        def spent(servers):
            found = self.of({"part": "fanout", "rate": 1600, "servers_up": servers})
            return median((both(line) - both(self.idle) * line["seconds"] * servers) / line["notifications"] for line in found)
        def heard(line):
            return (median(line["server_cpu"]) - self.idle["server_cpu"] * line["seconds"]) / line["notifications"]
        hear = median(heard(line) for line in self.of({"part": "fanout", "rate": 1600, "servers_up": 8}))
        return {"send": spent(0), "bring": (spent(8) - spent(0)) / 8, "hear": hear}


NUMBERS = ("statements", "commits", "wal_bytes", "wal_syncs", "sessions_cpu", "behind_cpu", "server_cpu")


def total(line, name):
    return sum(line[name]) if name == "server_cpu" else line[name]


def lines(name):
    return [json.loads(line) for line in (RESULTS / name).read_text().splitlines()]


def table(heads, rows):
    return ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|", *("| " + " | ".join(row) + " |" for row in rows)]


def number(value, digits=None):
    if digits is None:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def micro(seconds):
    return number(seconds * 1e6, 0 if seconds >= 10e-6 else 1)


def cost(measured):
    """What one task costs."""
    rows = []
    for workload, what in LOADS:
        per = measured.per_task(workload)
        trips = measured.trips(workload)
        rows.append([
            f"{what} ({workload})", number(1 / per["commits"]), number(per["statements"]), number(trips * per["commits"]), number(trips, 1),
            number(per["wal_bytes"], 0), micro(per["sessions_cpu"]), micro(per["behind_cpu"]), micro(per["server_cpu"]),
        ])
    heads = ["a task", "tasks a commit", "statements", "round trips", "trips a commit", "WAL bytes", "PostgreSQL, sessions, µs",
             "PostgreSQL, behind them, µs", "server, µs"]
    return table(heads, rows)


def idle(measured):
    """What is spent while nothing is asked for."""
    rows = []
    for count in (1, 2, 4, 8):
        per = measured.per_second({"part": "idle", "servers_up": count}, count)
        line = measured.of({"part": "idle", "servers_up": count})[0]
        trips = measured.of({"part": "idle", "servers_up": count}, is_counted=True)[0]
        rows.append([
            f"one of {count} idle servers" if count > 1 else "one idle server", number(per["statements"]),
            number(trips["proxy"]["trips"] / trips["seconds"] / count), number(per["wal_bytes"], 0), number(per["sessions_cpu"] * 100, 2) + " %",
            number(per["server_cpu"] * 100, 2) + " %", number(line["connections"] / count, 1), number(median(line["memory_mb"]), 0),
        ])
    for count in (100, 1000, 10_000):
        per = measured.workers(count)
        counted = [one for one in measured.lines if one["part"] == "workers" and one["workers"] == count and "proxy" in one]
        base = measured.of({"part": "idle", "servers_up": 2}, is_counted=True)[0]
        trips = [(one["proxy"]["trips"] / one["seconds"] - base["proxy"]["trips"] / base["seconds"]) / count for one in counted]
        rows.append([
            f"one of {count:,} idle workers at two servers", number(per["statements"], 3), number(trips[0], 3) if trips else "not counted",
            number(per["wal_bytes"], 1), number(per["sessions_cpu"] * 100, 4) + " %", number(per["server_cpu"] * 100, 4) + " %", "0", number(measured.memory_of_one(count), 3),
        ])
    heads = ["a second", "statements", "round trips", "WAL bytes", "PostgreSQL, of a core", "server, of a core", "connections", "server, MB"]
    return table(heads, rows)


def hint_costs(measured):
    """What it costs that servers tell each other."""
    hints = measured.hints()
    rows = []
    for workload in ("W1x64", "W2"):
        for listeners in (0, 1, 7):
            found = measured.of({"part": "hints", "workload": f"{workload}+{listeners}"})
            per = measured.per_task(f"{workload}+{listeners}", "hints")
            others = median(sum(line["server_cpu"][1:]) / line["seconds"] for line in found) / listeners * 100 if listeners else None
            rows.append([
                f"{workload}, {listeners} others listen", number(per["pace"], 0), number(median(line["notifications"] for line in found), 0),
                micro(per["sessions_cpu"]), number(others, 2) + " %" if listeners else "",
            ])
    heads = ["load at one server", "tasks/s", "hints sent", "PostgreSQL, sessions, µs a task", "each listener, of a core"]
    return table(heads, rows)


def fanout(measured):
    """What one hint costs, where that is all there is."""
    rows = []
    for rate in (200, 1600):
        for servers in (0, 2, 8):
            found = measured.of({"part": "fanout", "rate": rate, "servers_up": servers})
            idle = both(measured.idle) * servers
            spent = median(both(line) / line["seconds"] - idle for line in found) * 100
            each = median(median(line["server_cpu"]) / line["seconds"] - measured.idle["server_cpu"] for line in found) * 100 if servers else None
            rows.append([f"{rate:,} hints a second, heard by {servers} servers", number(spent, 1) + " %", number(each, 2) + " %" if servers else ""])
    hints = measured.hints()
    said = (f"So of 1,600 a second each takes PostgreSQL {micro(hints['send'])} µs, and {micro(hints['bring'])} µs more for each server that "
            f"hears it, which takes that server {micro(hints['hear'])} µs.")
    return [*table(["", "PostgreSQL, of a core", "each server, of a core"], rows), "", said]


def rest(measured):
    """The model, while nothing is done but hints at their most."""
    worker, hints = measured.workers(10_000), measured.hints()
    connections = max(one["connections"] for one in measured.of({"part": "idle", "servers_up": 8})) / 8
    rows = []
    for servers, workers in PLACES:
        rows.append([
            f"{servers} · {workers:,}", number(servers * connections, 0), number(at_rest(measured, servers, workers), 2),
            number((workers * worker["wal_bytes"] + servers * measured.idle["wal_bytes"]) / 1e6, 2),
            number((workers / servers * worker["server_cpu"] + measured.idle["server_cpu"]) * 100, 1) + " %",
            number(measured.memory(2, 0) + workers / servers * measured.memory_of_one(), 0), number(told(measured, servers), 2),
            number((servers - 1) * HINTS_A_SECOND * hints["hear"] * 100, 1) + " %",
        ])
    heads = ["servers · workers", "connections", "PostgreSQL at rest, cores", "WAL at rest, MB/s", "each server at rest, of a core", "each server, MB",
             "hints at most, cores of PostgreSQL", "hints at most, of a core of each server"]
    return table(heads, rows)


def growth(measured):
    """The model of what is left for tasks."""
    rows = []
    for servers, workers in PLACES:
        spent = at_rest(measured, servers, workers) + told(measured, servers)
        row = [f"{servers} · {workers:,}"]
        for workload in ("W5x64", "W2"):
            per = measured.per_task(workload)
            for cores in CORES:
                # As far as the one session through which each server writes can use them.
                lives = min(max(cores * SHARE - spent, 0) / both(per), servers / per["sessions_cpu"])
                row += [number(lives, 0), number(lives * per["wal_bytes"] / 1e6, 0)]
        rows.append(row)
    heads = ["servers · workers", *(f"{name}, {cores} cores{more}" for name in ("lives/s", "drained/s") for cores in CORES for more in ("", ": WAL, MB/s"))]
    return table(heads, rows)


def at_rest(measured, servers, workers):
    return servers * both(measured.idle) + workers * both(measured.workers(10_000))


def told(measured, servers):
    """Cores of PostgreSQL, where all servers say as much as they may."""
    hints = measured.hints()
    sent = servers * HINTS_A_SECOND if servers > 1 else 0
    return sent * (hints["send"] + (servers - 1) * hints["bring"])


def both(per):
    return per["sessions_cpu"] + per["behind_cpu"]


def check(measured):
    """The model from what a thousand workers cost, held against ten thousand."""
    small, line = measured.workers(1000), measured.of({"part": "workers", "workers": 10_000})[0]
    empty = measured.memory(2, 0)
    fleet = {}
    for one in lines("servers.jsonl"):
        fleet.setdefault(one["workload"], []).append(one["value"])
    seen = lambda name: number(median(fleet[f"W11-{name}-1"] + fleet[f"W11-{name}-2"]), 1)
    def row(what, name, scale, told=""):
        model = 10_000 * small[name] + 2 * measured.idle[name]
        found = total(line, name) / line["seconds"]
        if name == "server_cpu":
            model, found = model / 2, found / 2
        return [what, number(model * scale, 1), number(found * scale, 1), told]
    rows = [
        row("statements a second", "statements", 1), row("commits a second", "commits", 1), row("WAL, kB a second", "wal_bytes", 1e-3),
        row("PostgreSQL's sessions, % of a core", "sessions_cpu", 100), row("each server, % of a core", "server_cpu", 100, seen("core")),
        ["each server, MB", number(empty + (measured.memory(2, 1000) - empty) * 10, 1), number(measured.memory(2, 10_000), 1), seen("memory")],
    ]
    return table(["10,000 idle workers at two servers", "model, from 1,000 workers", "measured, `bench/cost.py`", "measured, `taskyard bench`"], rows)


def two(_):
    """What two databases come to."""
    all_lines = lines("two_databases.jsonl")
    rows = []
    for workload in ("W1x64", "W5x64", "drain"):
        for name in ("one-server", "one-database", "two-databases", "two-clusters"):
            found = [line for line in all_lines if line.get("name") == name and line["workload"] == workload]
            if not found:
                continue
            per = lambda name: median(total(line, name) / line["tasks"] for line in found)
            rows.append([
                f"{workload}, {name}", number(median(line["pace"] for line in found), 0), micro(per("sessions_cpu") + per("behind_cpu")),
                micro(per("server_cpu")), number(per("wal_bytes"), 0), number(1 / per("wal_syncs")),
            ])
    return table(["", "tasks/s, all together", "PostgreSQL, µs a task", "servers, µs a task", "WAL bytes a task", "tasks a sync"], rows)


def servers(_):
    """Two servers on one database, as `taskyard bench` measures them."""
    figures, order = {}, []
    for line in lines("servers.jsonl"):
        if line["workload"].startswith("W10"):
            figures.setdefault((line["workload"], line["unit"]), []).append(line["value"])
    if not figures:
        return ["(`bench/results/servers.jsonl` has no run of W10 yet.)"]
    for (workload, unit), values in figures.items():
        order.append([workload, unit, number(median(values)), f"{number(min(values))} to {number(max(values))}"])
    return table(["workload", "unit", "median", "from, to"], order)


TABLES = {"cost": cost, "idle": idle, "hints": hint_costs, "fanout": fanout, "rest": rest, "growth": growth, "check": check, "servers": servers, "two": two}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md, between their marks")
    parser.add_argument("--check", action="store_true", help="fail where docs/scaling.md shows others")
    options = parser.parse_args()
    measured = Measured()
    made = {name: "\n".join(make(measured)) for name, make in TABLES.items()}
    if not options.write and not options.check:
        for name, text in made.items():
            print(f"## {name}\n\n{text}\n")
        return
    before = after = DOCUMENT.read_text()
    for name, text in made.items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end -->"
        head, rest = after.split(begin)
        shown, tail = rest.split(end, 1)
        wanted = f"\n{text}\n\n"
        if options.check and shown != wanted:
            sys.exit(f"docs/scaling.md shows another table of {name} than follows from bench/results: bench/model.py --write")
        after = head + begin + wanted + end + tail
    if after != before:
        DOCUMENT.write_text(after)


if __name__ == "__main__":
    main()
