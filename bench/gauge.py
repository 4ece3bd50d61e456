"""What `cost.py` and `two_databases.py` measure with: a PostgreSQL, what it and a server take of the processor, a proxy that
counts what goes between the two, and a fleet of workers with nothing to do.

Linux, Python's own library and `psql` alone. Nothing here is left running: each thing is a context.
"""

import heapq
import json
import multiprocessing
import os
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

SERVING = "serving on "
# PostgreSQL tells of a session's work at most once a second.
SETTLE = 2.5


def raise_open_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpu_of(pid):
    """Seconds of processor that all threads of a process took, also of those that have ended: its own clock, exact."""
    return time.clock_gettime((~pid << 3) | 2)


class Session:
    """One `psql` that stays: new ones would be counted among the work."""

    def __init__(self, url):
        self.process = subprocess.Popen(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )

    def rows(self, statement):
        self.process.stdin.write(f"{statement};\n\\echo end-of-answer\n")
        self.process.stdin.flush()
        rows = []
        for line in self.process.stdout:
            if line.strip() == "end-of-answer":
                return rows
            rows.append(line.rstrip("\n").split("|"))
        raise RuntimeError(f"psql ended over: {statement}")

    def value(self, statement):
        return self.rows(statement)[0][0]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Postgres:
    """One that runs, looked at from beside: what it did between two looks."""

    def __init__(self, url):
        self.url = url
        self.session = Session(url)
        self.session.rows("create extension if not exists pg_stat_statements")
        self.own = int(self.session.value("select pg_backend_pid()"))
        self.parent = stat_of(self.own)[1]

    @contextmanager
    def database(self, name):
        self.session.rows(f"create database {name}")
        try:
            yield self.url.rsplit("/", 1)[0] + "/" + name
        finally:
            self.session.rows(f"drop database {name} with (force)")

    def processes(self):
        """Each process with what it is, as PostgreSQL itself titles them."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.own:
                continue
            stat = stat_of(int(entry.name))
            if stat and stat[1] == self.parent:
                found[int(entry.name)] = title_of(entry.name)
        return found

    def cpu(self):
        """Of sessions, and of what works behind them; what has ended is counted with the latter, by the parent."""
        sessions = behind = 0.0
        for pid, title in self.processes().items():
            try:
                spent = cpu_of(pid)
            except OSError:
                continue
            if re.search(r"writer|checkpointer|autovacuum|launcher|stats|archiver", title):
                behind += spent
            else:
                sessions += spent
        ticks = os.sysconf("SC_CLK_TCK")
        behind += sum(stat_of(self.parent)[2:]) / ticks
        return {"sessions_cpu": sessions, "behind_cpu": behind}

    def look(self, database):
        self.session.rows("select pg_stat_force_next_flush()")
        statements = f"""from pg_stat_statements
            where dbid = (select oid from pg_database where datname = '{database}')"""
        bytes_, fpi, syncs = self.session.rows(
            "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), wal_fpi, wal_sync from pg_stat_wal")[0]
        commits = self.session.value(
            f"select coalesce(sum(xact_commit), 0) from pg_stat_database where datname = '{database}'")
        calls, notifications = self.session.rows(
            f"select coalesce(sum(calls), 0), coalesce(sum(calls) filter (where query like '%pg_notify%'), 0) {statements}")[0]
        return {
            "statements": int(calls), "notifications": int(notifications), "commits": int(commits),
            "wal_bytes": int(bytes_), "wal_images": int(fpi), "wal_syncs": int(syncs), **self.cpu(),
        }

    def connections(self, database):
        return int(self.session.value(f"select count(*) from pg_stat_activity where datname = '{database}'"))

    def top(self, database, count=12):
        """What was called most, shortened."""
        rows = self.session.rows(f"""select calls, rows, left(regexp_replace(query, '\\s+', ' ', 'g'), 90)
            from pg_stat_statements where dbid = (select oid from pg_database where datname = '{database}')
            order by calls desc limit {count}""")
        return [{"calls": int(row[0]), "rows": int(row[1]), "query": "|".join(row[2:])} for row in rows]

    def forget(self):
        self.session.rows("select pg_stat_statements_reset(); checkpoint")

    def close(self):
        self.session.close()


def stat_of(pid):
    """Its number and its parent's, and the ticks of itself and of its ended children; none if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    return [pid, int(fields[1]), *map(int, fields[11:15])]


def title_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


# Every acknowledged write is on the disk, and statements are counted.
DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=1GB", "max_wal_size=4GB",
           "shared_preload_libraries=pg_stat_statements")


@contextmanager
def cluster():
    """A PostgreSQL of our own, as `tests/with-postgres` starts it; gone at the end."""
    script = Path(__file__).resolve().parent.parent / "tests" / "with-postgres"
    settings = [word for setting in DURABLE for word in ("-c", setting)]
    surroundings = {name: value for name, value in os.environ.items() if name != "TASKYARD_TEST_POSTGRES_URL"}
    process = subprocess.Popen(
        [script, *settings, "sh", "-c", 'echo "$TASKYARD_TEST_POSTGRES_URL"; cat >/dev/null'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=surroundings,
    )
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("tests/with-postgres started none")
        yield url
    finally:
        process.stdin.close()
        process.wait()


@contextmanager
def server(taskyard, database, *more):
    """A server without workers in it, as `taskyard bench` starts them; answers its address and its process."""
    with tempfile.TemporaryFile() as log:
        arguments = [taskyard, "serve", "--listen", "127.0.0.1:0", "--internal-workers", "0", "--log", "warn"]
        process = subprocess.Popen([*arguments, "--database", database, *more], stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            line = process.stdout.readline().strip()
            if not line.startswith(SERVING):
                log.seek(0)
                raise RuntimeError(f"the server did not start: {log.read().decode()}")
            yield line.removeprefix(SERVING), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


class Watched:
    """What a PostgreSQL and some servers did from one moment to another."""

    def __init__(self, postgres, database, servers):
        self.postgres, self.database, self.servers = postgres, database, servers
        time.sleep(SETTLE)
        self.before, self.begun = self.look(), time.monotonic()

    def look(self):
        look = self.postgres.look(self.database)
        look["server_cpu"] = [cpu_of(pid) for pid in self.servers]
        return look

    def done(self):
        seconds = time.monotonic() - self.begun
        time.sleep(SETTLE)
        after = self.look()
        found = {name: after[name] - self.before[name] for name in after if name != "server_cpu"}
        found["server_cpu"] = [one - other for one, other in zip(after["server_cpu"], self.before["server_cpu"])]
        found["seconds"] = seconds
        return found


# What the proxy counts. A trip begins where something is sent while no answer is owed: what depends on what came back.
COUNTED = ("trips", "syncs", "packets_out", "packets_in", "bytes_out", "bytes_in")


class Proxy:
    """Between servers and PostgreSQL, in a process of its own; knows just enough of the protocol to see where requests end."""

    def __init__(self, url):
        self.target = urlsplit(url)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.counts = multiprocessing.Array("q", len(COUNTED), lock=False)
        self.process = multiprocessing.Process(target=self.run, daemon=True)
        self.process.start()

    def url(self, url):
        """The same database by way of the proxy."""
        parts = urlsplit(url)
        user = parts.netloc.rsplit("@", 1)[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self.listener.getsockname()[1]}").geturl()

    def look(self):
        return dict(zip(COUNTED, self.counts))

    def close(self):
        self.process.terminate()
        self.process.join()
        self.listener.close()

    def run(self):
        poll, ends = select.epoll(), {}
        poll.register(self.listener, select.EPOLLIN)
        while True:
            for number, _ in poll.poll():
                if number == self.listener.fileno():
                    self.join(poll, ends)
                elif number in ends:
                    self.pass_on(poll, ends, number)

    def join(self, poll, ends):
        near = self.listener.accept()[0]
        far = socket.create_connection((self.target.hostname, self.target.port))
        talk = Talk()
        for this, other, is_near in ((near, far, True), (far, near, False)):
            this.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ends[this.fileno()] = (this, other, talk, is_near)
            poll.register(this, select.EPOLLIN)

    def pass_on(self, poll, ends, number):
        this, other, talk, is_near = ends[number]
        try:
            data = this.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            for end in (this, other):
                ends.pop(end.fileno(), None)
                poll.unregister(end)
                end.close()
            return
        counts = self.counts
        if is_near:
            syncs = talk.sent(data)
            if syncs and not talk.owed:
                counts[0] += 1
            talk.owed += syncs
            counts[1] += syncs
            counts[2] += 1
            counts[4] += len(data)
        else:
            talk.owed = max(0, talk.owed - talk.answered(data))
            counts[3] += 1
            counts[5] += len(data)
        other.sendall(data)


class Talk:
    """One connection. `owed`: requests that PostgreSQL has not answered to the end."""

    ENCRYPT = (80877103, 80877104)

    def __init__(self):
        self.owed = 0
        self.near, self.far = bytearray(), bytearray()
        self.is_begun = self.is_refused = False

    def sent(self, data):
        self.near += data
        # The first messages have no letter; to those that ask for encryption one letter is answered, which is no.
        while not self.is_begun and len(self.near) >= 8:
            length, code = (int.from_bytes(self.near[at:at + 4], "big") for at in (0, 4))
            if len(self.near) < length:
                break
            del self.near[:length]
            self.is_refused = code in self.ENCRYPT
            self.is_begun = not self.is_refused
        return count(self.near, b"SQ") if self.is_begun else 0

    def answered(self, data):
        if self.is_refused:
            self.is_refused = False
            data = data[1:]
        self.far += data
        return count(self.far, b"Z")


def count(buffer, letters):
    """How many whole messages of these kinds are in it; takes all whole ones out."""
    at = found = 0
    while len(buffer) - at >= 5:
        end = at + 1 + int.from_bytes(buffer[at + 1:at + 5], "big")
        if len(buffer) < end:
            break
        found += buffer[at] in letters
        at = end
    del buffer[:at]
    return found


class Fleet:
    """So many workers that wait with an open claim and say that they live as often as they are told to, in a process of its
    own. As `taskyard bench --only W11` has them."""

    SHARE = 100
    WAIT_MS = 30_000

    def __init__(self, urls, workers):
        self.ready, self.end = multiprocessing.Event(), multiprocessing.Event()
        self.asked = multiprocessing.Array("q", 2, lock=False)
        self.process = multiprocessing.Process(target=self.run, args=(urls, workers), daemon=True)
        self.process.start()
        while not self.ready.wait(1):
            if not self.process.is_alive():
                raise RuntimeError("the fleet did not come up")

    def look(self):
        return dict(zip(("claims", "heartbeats"), self.asked))

    def close(self):
        self.end.set()
        self.process.join()

    def run(self, urls, workers):
        raise_open_files()
        addresses = [(urlsplit(url).hostname, urlsplit(url).port) for url in urls]
        poll, callers, times = select.epoll(), {}, []
        for half, address in enumerate(addresses):
            numbers = list(range(half, workers, len(addresses)))
            for first in range(0, len(numbers), self.SHARE):
                share = numbers[first:first + self.SHARE]
                beats = Caller(address)
                every = min(self.register(beats, number) for number in share)
                poll.register(beats.socket, select.EPOLLIN)
                callers[beats.socket.fileno()] = (beats, None)
                for place, number in enumerate(share):
                    claim = Caller(address)
                    poll.register(claim.socket, select.EPOLLIN)
                    callers[claim.socket.fileno()] = (claim, number)
                    self.claim(claim, number)
                    heapq.heappush(times, (time.monotonic() + every * place / len(share), number, beats, every))
        self.ready.set()
        while not self.end.is_set():
            while times and times[0][0] <= time.monotonic():
                due, number, beats, every = heapq.heappop(times)
                beats.post(f"/api/v1/workers/cost-{number}/heartbeat", '{"held":[]}')
                self.asked[1] += 1
                heapq.heappush(times, (due + every, number, beats, every))
            wait = max(0.0, times[0][0] - time.monotonic()) if times else 0.1
            for descriptor, _ in poll.poll(min(wait, 0.1)):
                caller, number = callers[descriptor]
                for _ in caller.answers():
                    if number is not None:
                        self.claim(caller, number)

    def claim(self, caller, number):
        caller.post(f"/api/v1/workers/cost-{number}/claim", json.dumps({"limit": 1, "wait_ms": self.WAIT_MS}))
        self.asked[0] += 1

    def register(self, caller, number):
        """Seconds from one heartbeat to the next."""
        caller.post("/api/v1/workers/register", json.dumps({"worker_id": f"cost-{number}", "kinds": ["noop"]}))
        while True:
            for answer in caller.answers():
                return json.loads(answer)["heartbeat_ms"] / 1000


class Caller:
    """One HTTP/1.1 connection. What is posted while an answer is open waits for it."""

    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = "%s:%d" % address
        self.buffer, self.waiting, self.is_open = b"", deque(), False

    def post(self, path, body):
        head = f"POST {path} HTTP/1.1\r\nhost: {self.host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.waiting.append((head + body).encode())
        self.send()

    def send(self):
        if self.waiting and not self.is_open:
            self.is_open = True
            self.socket.sendall(self.waiting.popleft())

    def answers(self):
        """The bodies that have come whole."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise RuntimeError("a server closed a connection of the fleet")
        self.buffer += data
        bodies = []
        while b"\r\n\r\n" in self.buffer:
            head, rest = self.buffer.split(b"\r\n\r\n", 1)
            length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
            if len(rest) < length:
                break
            if not head.startswith(b"HTTP/1.1 2"):
                raise RuntimeError(f"the fleet was answered: {head.decode()} {rest[:length].decode()}")
            bodies.append(rest[:length])
            self.buffer, self.is_open = rest[length:], False
            self.send()
        return bodies
