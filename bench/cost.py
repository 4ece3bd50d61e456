#!/usr/bin/env python3
"""What a task costs on PostgreSQL, whatever the machine's pace: statements, commits, round trips, WAL and processor time.

    bench/cost.py --taskyard target/release/taskyard >bench/results/cost.jsonl

It has a PostgreSQL of its own, with every acknowledged write on the disk. One JSON line a run. Each kind of load is that of `taskyard bench`; beside it this looks at PostgreSQL
(`pg_stat_statements`, the position of the WAL, `pg_stat_wal`, each process's own clock) and at the server's process. What
is divided by is counted in the tables: tasks, and those that ended. Each load is run once more through a proxy that counts
round trips, apart from the runs whose processor time is told. The parts:

    submits  one task a call over one and 64 connections, and 1,000 a call over four
    lives    submit, claim and report one by one over 64 connections; and a queue drained by one worker of 1,000 runs
    idle     1 to 8 servers with nothing to do
    hints    one server at work beside 0, 1 and 7 others that only listen
    fanout   hints of others, 200 to 1,600 a second (made by `pgbench`), heard by none, 2 and 8 servers: what telling them costs
    workers  100, 1,000 and 10,000 workers with nothing to do at two servers
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import gauge
from gauge import Fleet, Postgres, Proxy, Watched

LOADS = {"submits": ("W1", "W1x64", "W1-bulk"), "lives": ("W5x64", "W2")}
IDLE_SERVERS = (1, 2, 4, 8)
LISTENERS = (0, 1, 7)
WORKERS = (100, 1000, 10_000)
# Listeners, and hints a second: one server says 200 at most.
FANOUTS = [(servers, rate) for rate in (200, 1600) for servers in (0, 2, 8)]


def main():
    options = parse()
    gauge.raise_open_files()
    with gauge.cluster() as url, closing(Postgres(url)) as postgres:
        for part in options.only.split(","):
            PARTS[part](postgres, options)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taskyard", required=True, help="the program to measure: a release build")
    parser.add_argument("--only", default=",".join(PARTS), help="these parts, with commas between them")
    parser.add_argument("--seconds", type=float, default=5, help="how long a load runs that ends by time; idle parts take four times as long")
    parser.add_argument("--repeat", type=int, default=3, help="how often each load is run; the parts about idling run once")
    parser.add_argument("--scale", type=float, default=1, help="the share of 200,000 tasks that are drained, and of workers")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--only names {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


def loads(part):
    def run(postgres, options):
        for workload in LOADS[part]:
            for _ in range(options.repeat):
                one_load(postgres, options, workload, is_counted=False)
            one_load(postgres, options, workload, is_counted=True)
    return run


def one_load(postgres, options, workload, is_counted, listeners=0):
    """A server over a fresh database, as many others beside it as listen, and the load at the first."""
    with ExitStack() as stack:
        direct, proxy, servers = servers_over(stack, postgres, options, 1 + listeners, is_counted)
        postgres.forget()
        watched = Watched(postgres, "cost", [pid for _, pid in servers])
        trips = proxy and proxy.look()
        pace = load(options, servers[0][0], workload)
        found = watched.done()
        if proxy:
            found["proxy"] = {name: value - trips[name] for name, value in proxy.look().items()}
        found["connections"] = postgres.connections("cost")
        found["top"] = postgres.top("cost")
        tasks, ended = counted(direct)
    name = f"{workload}+{listeners}" if listeners or options.in_hints else workload
    put("hints" if options.in_hints else "load", workload=name, listeners=listeners, tasks=tasks, ended=ended, pace=pace, **found)


def servers_over(stack, postgres, options, count, is_counted):
    """A fresh database, and so many servers over it; by way of a proxy, where round trips are counted."""
    direct = stack.enter_context(postgres.database("cost"))
    proxy = stack.enter_context(closing(Proxy(direct))) if is_counted else None
    url = proxy.url(direct) if proxy else direct
    servers = [stack.enter_context(gauge.server(options.taskyard, url)) for _ in range(count)]
    return direct, proxy, servers


def load(options, url, workload):
    """What the load itself says of its pace: tasks a second."""
    arguments = [options.taskyard, "bench", "--server", url, "--only", workload]
    arguments += ["--seconds", f"{options.seconds:g}s", "--scale", f"{options.scale:g}"]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["value"]


def counted(url):
    session = gauge.Session(url)
    row = session.rows("select (select count(*) from task), (select count(*) from outcome)")[0]
    session.close()
    return map(int, row)


def idle(postgres, options):
    for count in IDLE_SERVERS:
        for is_counted in (False, True):
            with ExitStack() as stack:
                _, proxy, servers = servers_over(stack, postgres, options, count, is_counted)
                postgres.forget()
                look_on(postgres, options, "idle", servers, proxy, servers_up=count)


def hints(postgres, options):
    """Interleaved, so that what the machine does meanwhile meets all alike."""
    options.in_hints = True
    for _ in range(options.repeat):
        for workload in ("W1x64", "W2"):
            for listeners in LISTENERS:
                one_load(postgres, options, workload, is_counted=False, listeners=listeners)
    options.in_hints = False


def fanout(postgres, options):
    """What it takes to bring hints, whoever sends them: those that send here do nothing else."""
    for _ in range(options.repeat):
        for count, rate in FANOUTS:
            with ExitStack() as stack:
                url = stack.enter_context(postgres.database("cost"))
                if not count:
                    # For the tables alone.
                    with gauge.server(options.taskyard, url):
                        pass
                servers = [stack.enter_context(gauge.server(options.taskyard, url)) for _ in range(count)]
                postgres.forget()
                watched = Watched(postgres, "cost", [pid for _, pid in servers])
                tell(url, rate, options.seconds)
                found = watched.done()
            put("fanout", servers_up=count, rate=rate, **found)


def tell(url, rate, seconds):
    session = gauge.Session(url)
    incarnation, channel = session.rows("select incarnation, 'taskyard_' || 'public'::regnamespace::oid from meta")[0]
    session.close()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        # As after a commit that ended two tasks.
        script.write(f"select pg_notify('{channel}', '{incarnation} ended=00ff,a2b1');\n")
        script.flush()
        arguments = [pgbench(), "--no-vacuum", "--client", "8", "--rate", str(rate), "--time", f"{max(seconds, 1):.0f}", "--file", script.name]
        surroundings = {**os.environ, "PGOPTIONS": "-c synchronous_commit=off"}
        subprocess.run([*arguments, url], check=True, capture_output=True, env=surroundings)


def pgbench():
    """Debian keeps it out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    return str(found[-1]) if found else "pgbench"


def workers(postgres, options):
    for count in WORKERS:
        count = int(count * options.scale)
        for is_counted in (False, True):
            if is_counted and count > 1000:
                continue
            with ExitStack() as stack:
                _, proxy, servers = servers_over(stack, postgres, options, 2, is_counted)
                fleet = stack.enter_context(closing(Fleet([url for url, _ in servers], count)))
                postgres.forget()
                look_on(postgres, options, "workers", servers, proxy, fleet, workers=count, servers_up=2)


def look_on(postgres, options, part, servers, proxy=None, fleet=None, **settings):
    watched = Watched(postgres, "cost", [pid for _, pid in servers])
    before = [each and each.look() for each in (proxy, fleet)]
    # A whole turn of claims that wait for 30 s, and three of heartbeats, where nothing else is asked for.
    time.sleep(options.seconds * (6 if fleet else 4))
    after = [each and each.look() for each in (proxy, fleet)]
    found = watched.done()
    for name, one, other in zip(("proxy", "asked"), before, after):
        if one:
            found[name] = {key: other[key] - one[key] for key in one}
    found["memory_mb"] = [memory_of(pid) for _, pid in servers]
    found["connections"] = postgres.connections("cost")
    found["top"] = postgres.top("cost")
    put(part, **settings, **found)


def memory_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


def put(part, **line):
    print(json.dumps({"part": part, **rounded(line)}), flush=True)


def rounded(value):
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    return value


PARTS = {"submits": loads("submits"), "lives": loads("lives"), "idle": idle, "hints": hints, "fanout": fanout, "workers": workers}
argparse.Namespace.in_hints = False

if __name__ == "__main__":
    sys.exit(main())
