"""deploy/ha/compose.yml, run: servers that stop and die behind HAProxy, and the failover to the other PostgreSQL."""

import json
import threading
import time
import unittest
import urllib.error
import urllib.request

from apart import directory, go_apart
from project import Project

URL = "http://127.0.0.1:8000"
TOKEN = "s3cret"
CALLERS = 4
# What a server that was killed had handed out runs again within moments.
QUICK = {"TASKYARD_HEARTBEAT": "1s", "TASKYARD_HEARTBEAT_TTL": "5s", "TASKYARD_LEASE": "6s", "TASKYARD_GRACE": "2s"}
VARIABLES = {"TASKYARD_TOKEN": TOKEN, "POSTGRES_PASSWORD": "a1b2", "REPLICATION_PASSWORD": "c3d4"}


def ask(path, body=None, url=URL):
    """The status and the body of an answer; 0 and what went wrong where there was none."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=70) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError as error:
        return 0, str(error)


class Load:
    """Submits all the time, and looks at what it submitted, until it is told to stop."""

    def __init__(self):
        self.acknowledged, self.failed, self.stop_it = [], [], threading.Event()
        self.threads = [threading.Thread(target=self.go_on) for _ in range(CALLERS)]

    def go_on(self):
        while not self.stop_it.is_set():
            asked = "a submit"
            status, said = ask("/api/v1/tasks", {"kind": "echo", "input": 1})
            if status == 201:
                self.acknowledged.append(json.loads(said)["id"])
                asked = "a look"
                status, said = ask(f"/api/v1/tasks/{self.acknowledged[-1]}")
            if status not in (200, 201):
                self.failed.append((asked, status, said))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop_it.set()
        for thread in self.threads:
            thread.join()

    def goes_on(self, project, more=50):
        """From here on, so many more are taken."""
        before = len(self.acknowledged)
        project.wait_for(lambda: len(self.acknowledged) >= before + more, "submits are taken")


class Failing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.project = Project("deploy/ha/compose.yml", directory() + "/ha", VARIABLES, {"worker": 2},
                              {"server-1": QUICK, "server-2": QUICK})
        cls.addClassCleanup(cls.project.down)
        cls.project.up()

    def all_ended(self, load):
        for task in load.acknowledged:
            self.project.wait_for(lambda task=task: self.has_ended(task), f"{task} is looked at")

    def has_ended(self, task):
        """Not known where a server that has just lost its connections asks to come back."""
        status, said = ask(f"/api/v1/tasks/{task}?wait_ms=60000")
        if status == 503:
            return False
        self.assertEqual((status, json.loads(said).get("status")), (200, "completed"), said)
        return True

    def standing(self, name):
        """What follows the PostgreSQL server of this name, and how."""
        words = ["psql", "-XAtU", "taskyard", "-c", "select application_name, state, sync_state from pg_stat_replication"]
        return self.project[name].execute(words).stdout.strip()

    def test_1_what_is_acknowledged_is_on_both_disks(self):
        self.project.wait_for(lambda: self.standing("postgres-1") == "postgres-2|streaming|sync", "postgres-2 follows")
        self.assertEqual(ask("/ready")[0], 200)
        status, said = ask("/api/v1/tasks", {"kind": "command", "input": {"argv": ["echo", "hi"]}})
        self.assertEqual(status, 201, said)
        task = json.loads(said)["id"]
        ended = json.loads(ask(f"/api/v1/tasks/{task}?wait_ms=60000")[1])
        self.assertEqual(ended["output"]["stdout"], "hi\n")

    def test_2_nobody_notices_a_server_that_stops(self):
        for name in ("server-1", "server-2"):
            server = self.project[name]
            with Load() as load:
                load.goes_on(self.project)
                self.assertEqual(server.stop(), 0, server.log.read_text())
                load.goes_on(self.project)
            self.assertEqual(load.failed, [])
            server.start().until_healthy()
            self.until_both_are_up()
            self.all_ended(load)

    def until_both_are_up(self):
        """HAProxy has seen both: it takes two looks, and says so of each that was down."""
        log = self.project["haproxy"].log
        starts = sum(self.project[name].runs - 1 for name in ("server-1", "server-2"))
        self.project.wait_for(lambda: log.read_text().count(" is UP") >= starts, "HAProxy finds both servers up")

    def test_3_a_server_that_dies_costs_what_it_had_in_hand_and_no_more(self):
        server = self.project["server-2"]
        with Load() as load:
            load.goes_on(self.project)
            server.kill()
            status, said = ask("/api/v1/tasks", {"kind": "echo", "input": 2})
            self.assertEqual(status, 201, said)
            load.goes_on(self.project)
        self.assertLessEqual(len(load.failed), CALLERS, load.failed)
        self.all_ended(load)
        server.start().until_healthy()
        self.until_both_are_up()

    def test_4_without_the_standby_nothing_is_acknowledged_until_somebody_says_so(self):
        one, two = self.project["postgres-1"], self.project["postgres-2"]
        two.kill()
        answers = []
        submit = threading.Thread(target=lambda: answers.append(ask("/api/v1/tasks", {"kind": "echo", "input": 5})))
        submit.start()
        here = ["psql", "-XAtU", "taskyard", "-c"]
        waiting = [*here, "select count(*) > 0 from pg_stat_activity where wait_event = 'SyncRep'"]
        self.project.wait_for(lambda: one.execute(waiting).stdout.strip() == "t", "a commit waits for the standby")
        self.assertEqual(answers, [])

        one.execute([*here, "alter system set synchronous_standby_names = ''", "-c", "select pg_reload_conf()"])
        submit.join()
        self.assertEqual(answers[0][0], 201, answers)
        two.start().until_healthy()
        self.project.wait_for(lambda: one.execute(["/ha/postgres.sh", "synchronous"]).returncode == 0, "postgres-2 follows")
        self.project.wait_for(lambda: self.standing("postgres-1") == "postgres-2|streaming|sync", "and both have it all")

    def test_5_the_other_postgresql_takes_over_with_all_that_was_acknowledged(self):
        one, two = self.project["postgres-1"], self.project["postgres-2"]
        with Load() as load:
            load.goes_on(self.project)
            one.kill()
            promoted = two.execute(["/ha/postgres.sh", "promote"])
            self.assertEqual(promoted.returncode, 0, promoted.stderr + promoted.stdout)
            load.goes_on(self.project)
        for asked, status, said in set(load.failed):
            # Told to come back, in the form of every refusal.
            self.assertIn(status, (503, 504), f"{asked}: {said}")
            self.assertIn(json.loads(said)["status"], (503, 504), f"{asked}: {said}")
        self.all_ended(load)

    def test_6_the_old_primary_does_not_come_back_by_itself(self):
        one, two = self.project["postgres-1"], self.project["postgres-2"]
        one.start()
        self.assertEqual(one.process.wait(60), 1)
        self.assertIn("postgres-2 was promoted", one.log.read_text())
        one.gone()

        # `docker compose rm`, and its volume.
        (self.project.directory / "volumes/postgres-1").rename(self.project.directory / "volumes/postgres-1.old")
        one.start().until_healthy()
        self.project.wait_for(lambda: two.execute(["/ha/postgres.sh", "synchronous"]).returncode == 0, "postgres-1 follows")
        self.project.wait_for(lambda: self.standing("postgres-2") == "postgres-1|streaming|sync", "and both have it all")
        self.assertEqual(ask("/api/v1/tasks", {"kind": "echo", "input": 3})[0], 201)

    def test_7_where_no_server_is_ready_clients_are_told_to_come_back(self):
        for name in ("worker#1", "worker#2", "server-1", "server-2"):
            self.assertEqual(self.project[name].stop(), 0, name)
        status, said = ask("/api/v1/tasks", {"kind": "echo", "input": 4})
        self.assertEqual((status, json.loads(said)["code"]), (503, "unavailable"))
        for name in ("haproxy", "postgres-1", "postgres-2"):
            self.assertEqual(self.project[name].stop(), 0, self.project[name].log.read_text())


if __name__ == "__main__":
    go_apart()
    unittest.main(verbosity=2, failfast=True)
