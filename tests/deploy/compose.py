"""docker-compose.yml, run: what each service says is started, asked how it is, put to work and stopped. And the same of what
the pods of deploy/kubernetes and the units of deploy/systemd say, each beside a PostgreSQL of docker-compose.yml."""

import json
import re
import shlex
import subprocess
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from apart import directory, go_apart
from project import BINARY, TOP, Project

URL = "http://127.0.0.1:8000"


def ask(path, body=None, headers=None):
    """The status and the body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"content-type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=70) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def taskyard(*words, **environment):
    return subprocess.run([BINARY, *words], capture_output=True, text=True, env=environment, cwd=directory())


class AsItStands(unittest.TestCase):
    """`docker compose up --scale worker=3`"""

    @classmethod
    def setUpClass(cls):
        cls.project = Project("docker-compose.yml", directory() + "/plain", scale={"worker": 3})
        cls.addClassCleanup(cls.project.down)
        cls.project.up()

    def test_1_what_the_older_schedulers_users_send_works(self):
        status, said = ask("/api/schedule", {"command": "echo it is done", "scheduled_at": "2024-01-23T10:00:00.000Z"})
        self.assertEqual(status, 201, said)
        task = json.loads(said)["task_id"]
        ended = json.loads(ask(f"/api/v1/tasks/{task}?wait_ms=30000")[1])
        self.assertEqual((ended["status"], ended["output"]["stdout"]), ("completed", "it is done\n"))
        workers = json.loads(ask("/api/workers")[1])["workers"]
        self.assertEqual(sorted(worker["name"] for worker in workers),
                         sorted(f"worker-{each.hostname}" for each in self.project.containers["worker"]))
        status, said = ask("/tasks", {"data": "hello"})
        self.assertEqual(status, 201, said)
        task = json.loads(said)["id"]
        ask(f"/api/v1/tasks/{task}?wait_ms=30000")
        self.assertEqual(json.loads(ask(f"/tasks/{task}")[1])["result"], "hello")
        for path in ("/", "/ui/", "/health", "/ready", "/metrics", "/docs"):
            self.assertEqual(ask(path)[0], 200, path)

    def test_2_no_page_reaches_it_under_a_name_of_its_own(self):
        evil = {"host": "evil.example:8000", "origin": "http://evil.example:8000"}
        status, said = ask("/api/schedule", {"command": "echo", "scheduled_at": "2024-01-23T10:00:00.000Z"}, evil)
        self.assertEqual((status, json.loads(said)["code"]), (421, "wrong_host"))

    def test_3_other_programs_run_only_when_they_are_named(self):
        task = json.loads(ask("/api/schedule", {"command": "id", "scheduled_at": "2024-01-23T10:00:00.000Z"})[1])["task_id"]
        ended = json.loads(ask(f"/api/v1/tasks/{task}?wait_ms=30000")[1])
        self.assertEqual((ended["status"], ended["error"]["code"]), ("failed", "command_not_allowed"))

    def test_4_nothing_is_written_but_where_it_may_be(self):
        for name in ("server", "worker"):
            container = self.project[name]
            self.assertEqual(container.execute(["id", "-u"]).stdout.strip(), "10001")
            self.assertNotEqual(container.execute(["touch", "/usr/local/here"]).returncode, 0)
            self.assertEqual(container.execute(["touch", "/tmp/here"]).returncode, 0)

    def test_5_each_stops_in_order_and_in_time(self):
        worker = self.project["worker#2"]
        self.assertEqual(worker.stop(), 0, worker.log.read_text())
        gone = taskyard("health", "--server", URL, "--worker", f"worker-{worker.hostname}")
        self.assertEqual(gone.returncode, 1, gone.stderr)
        for name in ("worker#1", "worker#3", "server", "postgres"):
            container = self.project[name]
            self.assertEqual(container.stop(), 0, f"{name}: {container.log.read_text()}")

    def test_6_what_was_stored_is_there_when_it_is_started_again(self):
        self.project.up()
        self.assertEqual(len(json.loads(ask("/tasks")[1])), 3)


class Open(unittest.TestCase):
    """For others to reach: `ACCESS=token.env BIND=0.0.0.0 PORT=8080 docker compose up`"""

    def test_a_server_that_others_reach_wants_a_token(self):
        secret = Path(directory(), "token.env")
        secret.write_text("TASKYARD_TOKEN=s3cret\n")
        variables = {"ACCESS": str(secret), "BIND": "0.0.0.0", "PORT": "8080", "ALLOW_COMMAND": "id"}
        project = Project("docker-compose.yml", directory() + "/open", variables)
        self.addCleanup(project.down)
        project.up()

        url = "http://10.89.0.1:8080"
        words = ("submit", "command", "--server", url, "--wait", "--", "id", "-u")
        self.assertEqual(taskyard(*words).returncode, 1)
        ran = taskyard(*words, TASKYARD_TOKEN="s3cret")
        self.assertEqual((ran.returncode, "10001" in ran.stdout), (0, True), ran)


class Alone(unittest.TestCase):
    """The image by itself: `docker run --env TASKYARD_TOKEN=… taskyard`, with its tasks in a volume"""

    def test_the_image_alone_is_a_server_that_keeps_its_tasks(self):
        file = Path(directory(), "alone.yml")
        file.write_text("services: {one: {image: taskyard, environment: {TASKYARD_TOKEN: s3cret}, "
                        "volumes: ['data:/var/lib/taskyard'], ports: ['127.0.0.1:8001:8000'], stop_grace_period: 45s}}")
        project = Project(file, directory() + "/alone")
        self.addCleanup(project.down)
        project.up()
        server = project["one"]
        submit = ["taskyard", "submit", "echo", "1", "--wait"]
        self.assertEqual(server.execute(submit).returncode, 0)
        self.assertEqual(server.stop(), 0, server.log.read_text())
        project.up()
        self.assertEqual(len(server.execute(["taskyard", "list", "--output", "quiet"]).stdout.split()), 1)


def beside_postgres(services):
    """A file of services that stand where those of docker-compose.yml do."""
    plain = yaml.safe_load((TOP / "docker-compose.yml").read_text())
    file = Path(directory(), f"{'-'.join(services)}.yml")
    text = yaml.safe_dump({"services": {"postgres": plain["services"]["postgres"], **services}})
    file.write_text(text)
    return file


class Pods(unittest.TestCase):
    """What the Deployments say, of one pod each"""

    @staticmethod
    def pod(file, name, secret):
        base = TOP / "deploy/kubernetes/base"
        said = next(yaml.safe_load_all((base / file).read_text()))["spec"]["template"]["spec"]
        (container,) = said["containers"]
        maps = yaml.safe_load((base / "kustomization.yaml").read_text())["configMapGenerator"]
        maps = {map["name"]: dict(pair.split("=", 1) for pair in map["literals"]) for map in maps}
        environment = {}
        for source in container["envFrom"]:
            environment |= maps[source["configMapRef"]["name"]]
        for variable in container["env"]:
            source = variable["valueFrom"]
            is_secret = "secretKeyRef" in source
            environment[variable["name"]] = secret[source["secretKeyRef"]["key"]] if is_secret else name
        context, rights = said["securityContext"], container["securityContext"]
        service = {
            "image": container["image"], "command": container["args"], "environment": environment, "hostname": name,
            "user": f"{context['runAsUser']}:{context['runAsGroup']}", "read_only": rights["readOnlyRootFilesystem"],
            "cap_drop": rights["capabilities"]["drop"], "security_opt": ["no-new-privileges:true"],
            "tmpfs": [mount["mountPath"] for mount in container["volumeMounts"]],
            "stop_grace_period": f"{said['terminationGracePeriodSeconds']}s", "depends_on": {"postgres": {"condition": "service_healthy"}},
        }
        probe = container["readinessProbe"]
        if "exec" in probe:
            service["healthcheck"] = {"test": ["CMD", *(word.replace("$", "$$") for word in probe["exec"]["command"])], "timeout": f"{probe['timeoutSeconds']}s"}
        return service, container

    def test_pods_work_together_and_stop_in_order(self):
        secret = {"token": "s3cret", "database": "postgres://taskyard:taskyard@postgres/taskyard"}
        server, container = self.pod("server.yaml", "taskyard-server-7d9c-x2x4p", secret)
        worker, _ = self.pod("worker.yaml", "taskyard-worker-6b8f-k9q2z", secret)
        worker["depends_on"] = {"taskyard": {"condition": "service_healthy"}}
        # The Service's name.
        project = Project(beside_postgres({"taskyard": server, "worker": worker}), directory() + "/pods")
        self.addCleanup(project.down)
        project.up()

        pod = project["taskyard"]
        for probe in ("startupProbe", "readinessProbe"):
            port = {each["name"]: each["containerPort"] for each in container["ports"]}[container[probe]["httpGet"]["port"]]
            with urllib.request.urlopen(f"http://{pod.address}:{port}{container[probe]['httpGet']['path']}") as answer:
                self.assertEqual(answer.status, 200)
        ran = pod.execute(["taskyard", "submit", "echo", "1", "--wait"])
        self.assertEqual(ran.returncode, 0, ran.stderr)
        for name in ("worker", "taskyard"):
            self.assertEqual(project[name].stop(), 0, project[name].log.read_text())


class Units(unittest.TestCase):
    """What the units of systemd start, as whom and with what: not how systemd closes them in, which takes a systemd"""

    @staticmethod
    def unit(name, instance, settings):
        text = (TOP / "deploy/systemd" / name).read_text()
        said = dict(re.findall(r"^(\w+)=(.+)$", text, re.MULTILINE))
        credential, _, _ = said["LoadCredential"].partition(":")
        credentials = Path(directory(), f"credentials-{credential}")
        credentials.mkdir()
        (credentials / credential).write_text(settings)
        words = [word.replace("%l", "host").replace("%i", instance) for word in shlex.split(said["ExecStart"])]
        variable, _, value = said["Environment"].partition("=")
        service = {
            "image": "taskyard", "entrypoint": words, "command": [], "user": "10001:10001", "hostname": "host",
            "environment": {variable: value.replace("%d", "/run/credentials")}, "read_only": said["ProtectSystem"] == "strict",
            "volumes": [f"{credentials}:/run/credentials:ro"], "tmpfs": ["/tmp"], "stop_grace_period": said["TimeoutStopSec"],
        }
        if "StateDirectory" in said:
            service["volumes"].append(f"{said['StateDirectory']}:/var/lib/{said['StateDirectory']}")
        return service

    def test_units_start_a_server_and_a_worker_that_stop_in_order(self):
        shipped = lambda name: (TOP / "deploy/systemd" / name).read_text()
        # As somebody would who follows what it says.
        server = shipped("server.toml").replace('# token = "…"', 'token = "s3cret"').replace("# listen", "listen")
        worker = shipped("worker.toml").replace('# token = "…"', 'token = "s3cret"').replace("127.0.0.1", "server")
        worker = worker.replace('# allow_command = ["/usr/bin/convert"]', 'allow_command = ["/usr/bin/id"]')
        services = {"server": self.unit("taskyard.service", "", server), "worker": self.unit("taskyard-worker@.service", "1", worker)}
        services["worker"]["depends_on"] = {"server": {"condition": "service_healthy"}}
        services["worker"]["healthcheck"] = {"test": ["CMD", "taskyard", "health", "--worker", "host-1"]}
        project = Project(beside_postgres(services), directory() + "/units")
        self.addCleanup(project.down)
        project.up()

        ran = project["worker"].execute(["taskyard", "submit", "command", "--wait", "--", "/usr/bin/id", "-u"])
        self.assertEqual((ran.returncode, "10001" in ran.stdout), (0, True), ran)
        self.assertTrue((project.directory / "volumes/taskyard/taskyard.db").is_file())
        for name in ("worker", "server"):
            self.assertEqual(project[name].stop(), 0, project[name].log.read_text())


if __name__ == "__main__":
    go_apart()
    unittest.main(verbosity=2)
