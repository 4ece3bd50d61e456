#!/usr/bin/env python3
"""Queues over two databases, against two servers that share one: what comes when one PostgreSQL is full.

    bench/two_databases.py --taskyard target/release/taskyard >bench/results/two_databases.jsonl

Four arrangements:

    one-server     one server, one database: the load of one alone
    one-database   two servers that share one database
    two-databases  two servers, each with a database of its own, in one PostgreSQL: they share its log, and so its syncs
    two-clusters   two servers, each with a PostgreSQL of its own: nothing is shared but the machine

At every server at once: submits over 64 connections (W1x64 of `taskyard bench`); whole lives over 64 connections (W5x64; not in
one-database, for its callers have the same names at both servers); and 100,000 tasks at each server, drained by a worker there.

On one machine the arrangements share its cores, so the sums say nothing of what two machines do. What does is the work: what
a task takes of processors and writes on each side, which is to be the same apart as alone. Then, over two clusters, clients that
know which queue is where submit into eight queues and drain them: each database must hold its own queues and no other, together
all of them. At last one of the two is taken away while lives go on at the other.
"""

import argparse
import http.client
import json
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import gauge
from cost import counted, put
from gauge import Postgres, Watched

ARRANGEMENTS = {"one-server": (1, 1, 1), "one-database": (2, 1, 1), "two-databases": (2, 2, 1), "two-clusters": (2, 2, 2)}
QUEUES = [f"queue-{number}" for number in range(8)]


def main():
    options = parse()
    with ExitStack() as stack:
        clusters = [stack.enter_context(gauge.cluster()) for _ in range(2)]
        looks = [stack.enter_context(closing(Postgres(url))) for url in clusters]
        # Interleaved, so that what the machine does meanwhile meets all alike.
        for _ in range(options.repeat):
            for workload in LOADS:
                for name in ARRANGEMENTS:
                    if (name, workload) != ("one-database", "W5x64"):
                        arranged(looks, options, name, workload)
    by_queue(options)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taskyard", required=True, help="the program to measure: a release build")
    parser.add_argument("--seconds", type=float, default=5, help="how long whole lives go on")
    parser.add_argument("--repeat", type=int, default=3, help="how often each arrangement is run")
    parser.add_argument("--scale", type=float, default=1, help="the share of the tasks that are drained")
    return parser.parse_args()


def arranged(looks, options, name, workload):
    count, databases, clusters = ARRANGEMENTS[name]
    with ExitStack() as stack:
        places = []
        for number in range(databases):
            look = looks[number % clusters]
            places.append((look, stack.enter_context(look.database(f"part_{number}"))))
        servers = []
        for number in range(count):
            servers.append(stack.enter_context(gauge.server(options.taskyard, places[number % databases][1])))
        for look in looks[:clusters]:
            look.forget()
        # The first counts the servers, and each its own databases and WAL.
        watched = [Watched(look, f"part_{number}", [pid for _, pid in servers] if number == 0 else [])
                   for number, look in enumerate(looks[:clusters])]
        paces = LOADS[workload](options, [url for url, _ in servers], workload, databases)
        found = [each.done() for each in watched]
        tasks = sum(list(counted(url))[0] for _, url in places)
    put("arrangement", name=name, workload=workload, pace=sum(paces), paces=paces, tasks=tasks,
        wal_bytes=sum(each["wal_bytes"] for each in found), wal_syncs=sum(each["wal_syncs"] for each in found),
        sessions_cpu=sum(each["sessions_cpu"] for each in found), behind_cpu=sum(each["behind_cpu"] for each in found),
        server_cpu=found[0]["server_cpu"])


def bench(options, url, workload):
    return [options.taskyard, "bench", "--server", url, "--only", workload,
            "--seconds", f"{options.seconds:g}s", "--scale", f"{options.scale:g}"]


def at_once(commands):
    """What each says of its pace: tasks a second."""
    begun = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    paces = []
    for process in begun:
        said = process.communicate()[0]
        if process.returncode:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        paces.append(json.loads(said.splitlines()[-1])["value"])
    return paces


def benches(options, urls, workload, _):
    return at_once([bench(options, url, workload) for url in urls])


def drain(options, urls, workload, databases):
    tasks = thousands(100_000 * options.scale)
    for url in urls:
        submit(url, "default", tasks)
    # Those that share a database count the same tasks.
    counts = urls[:databases]
    return [tasks * len(urls) / drained(options, {url: "default" for url in urls}, counts, tasks * len(urls))]


def drained(options, queues, counts, tasks):
    """Seconds that a worker at each of these servers takes for all of these tasks."""
    with ExitStack() as workers:
        begun = time.monotonic()
        for url, names in queues.items():
            workers.enter_context(worker(options, url, names))
        while sum(ended(url) for url in counts) < tasks:
            time.sleep(0.02)
            if time.monotonic() - begun > 120:
                raise RuntimeError("the queues were not drained within two minutes")
        return time.monotonic() - begun


def thousands(count):
    return max(int(count) // 1000, 1) * 1000


def by_queue(options):
    """Which queue is where is a table that clients and workers have; nothing else knows of it."""
    tasks = thousands(25_000 * options.scale)
    with ExitStack() as stack:
        first = stack.enter_context(gauge.cluster())
        last = ExitStack()
        stack.enter_context(last)
        clusters = [first, last.enter_context(gauge.cluster())]
        servers = [stack.enter_context(gauge.server(options.taskyard, url)) for url in clusters]
        place = {queue: number % 2 for number, queue in enumerate(QUEUES)}
        begun = time.monotonic()
        for queue in QUEUES:
            submit(servers[place[queue]][0], queue, tasks)
        submitted = time.monotonic() - begun
        queues = {url: ",".join(queue for queue in QUEUES if place[queue] == number) for number, (url, _) in enumerate(servers)}
        took = drained(options, queues, list(queues), tasks * len(QUEUES))
        held = [queues_of(url) for url in clusters]
        put("queues", queues=len(QUEUES), tasks=tasks * len(QUEUES), submit_seconds=submitted, drain_seconds=took, held=held)
        for number, queues in enumerate(held):
            wanted = {queue: tasks for queue in QUEUES if place[queue] == number}
            if queues != wanted:
                raise RuntimeError(f"database {number} holds {queues} in place of {wanted}")
        both = at_once([bench(options, servers[0][0], "W5x64")])
        last.close()
        time.sleep(5)
        ready = [status(url, "/ready") for url, _ in servers]
        alone = at_once([bench(options, servers[0][0], "W5x64")])
        put("one-gone", ready=ready, pace_before=both[0], pace_after=alone[0])
        if ready != [200, 503]:
            raise RuntimeError(f"the servers answer {ready}")


def submit(url, queue, tasks):
    task = {"kind": "noop", "queue": queue, "input": {"pad": "x" * 190}}
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for _ in range(tasks // 1000):
        connection.request("POST", "/api/v1/tasks/batch", json.dumps([task] * 1000), {"content-type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{url} answered {answer.status}: {body[:500]}")
    connection.close()


class worker:
    """A worker process for these queues at this server."""

    def __init__(self, options, url, queues):
        self.arguments = [options.taskyard, "worker", "--server", url, "--kinds", "noop", "--concurrency", "500", "--log", "warn"]
        self.arguments += ["--queues", queues]

    def __enter__(self):
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.DEVNULL)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def ended(url):
    return get(url, "/api/v1/tasks/stats")["by_status"]["completed"]


def get(url, path):
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", path)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def status(url, path):
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", path)
    answer = connection.getresponse().status
    connection.close()
    return answer


def queues_of(url):
    session = gauge.Session(url)
    rows = session.rows("""select lane.queue, count(*) from outcome join task on task.id = outcome.task
        join lane on lane.number = task.lane where outcome.status = 5 group by 1 order by 1""")
    session.close()
    return {queue: int(count) for queue, count in rows}


LOADS = {"W1x64": benches, "W5x64": benches, "drain": drain}

if __name__ == "__main__":
    sys.exit(main())
