"""The files in deploy/ and those of images, read by the programs and schemas that they are for, and every name in them that
is Taskyard's looked up where Taskyard says its names."""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest
import urllib.request
from pathlib import Path

import kubernetes_validate
import yaml

TOP = Path(__file__).resolve().parents[2]
BINARY = os.environ["TASKYARD_TEST_BINARY"]
PROGRAMS = Path(sys.executable).parent
KUBERNETES = TOP / "deploy/kubernetes"
BASE = KUBERNETES / "base"
SYSTEMD = TOP / "deploy/systemd"
COMPOSE = [TOP / "docker-compose.yml", TOP / "deploy/ha/compose.yml"]
DOCKERFILES = [TOP / "Dockerfile", TOP / ".devcontainer/Dockerfile"]
# The oldest that its makers still cared for when this was written, and the newest that the schemas are there for.
VERSIONS = ["1.34.0", "1.37.0"]
NOT_APPLIED = {"secret.example.yaml", "prometheus-adapter.yaml"}

ALL = [path for folder in (TOP / "deploy", TOP / ".devcontainer") for path in sorted(folder.rglob("*")) if path.is_file()]
ALL += [TOP / "Dockerfile", TOP / "docker-compose.yml", TOP / ".dockerignore"]


def run(*words, **others):
    ran = subprocess.run([str(word) for word in words], capture_output=True, text=True, **others)
    return ran.returncode, ran.stdout + ran.stderr


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def every_document():
    return [(path, document) for path in sorted(KUBERNETES.rglob("*.yaml")) for document in documents(path)]


def of_kind(kind):
    return [document for _, document in every_document() if document.get("kind") == kind]


def settings():
    """Each variable with the commands that take it, as docs/configuration.md has them."""
    rows = re.findall(r"^\| `(--[a-z-]+)[^|]*\| `(TASKYARD_\w+)` \|[^|]*\|[^|]*\| ([^|]*) \|", (TOP / "docs/configuration.md").read_text(), re.MULTILINE)
    found = {}
    for flag, variable, commands in rows:
        found.setdefault(variable, set()).update(re.findall(r"`([a-z ]+)`", commands))
        found.setdefault(flag, set()).update(re.findall(r"`([a-z ]+)`", commands))
    return found


SETTINGS = settings()
OLDER = {"DATABASE_URL"}


class Schemas(unittest.TestCase):
    def test_compose_files_are_what_the_specification_says(self):
        code, said = run(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", *COMPOSE)
        self.assertEqual(code, 0, said)

    def test_a_wrong_compose_file_is_found(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            file.write("services: {a: {image: b, helthcheck: {}}}")
            file.flush()
            code, said = run(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file.name)
        self.assertEqual((code, "helthcheck" in said), (1, True), said)

    def test_dockerfiles_are_well_formed_and_well_made(self):
        for path in DOCKERFILES:
            # Versions of Debian's packages are its releases'; a development container is rebuilt by hand.
            left = ["--ignore", "DL3008", "--ignore", "DL3066"] if ".devcontainer" in str(path) else []
            code, said = run(PROGRAMS / "hadolint", "--no-color", *left, path)
            self.assertEqual((code, said), (0, ""))

    def test_kubernetes_takes_each_object(self):
        ours = {"Kustomization", "ScaledObject", None}
        seen = set()
        for path, document in every_document():
            kind = document.get("kind")
            if kind in ours:
                continue
            seen.add(kind)
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
        self.assertEqual(seen, {"Deployment", "HorizontalPodAutoscaler", "Namespace", "NetworkPolicy", "PodDisruptionBudget",
                                "Secret", "Service"})

    def test_systemd_takes_the_units(self):
        with tempfile.TemporaryDirectory() as directory:
            for unit in SYSTEMD.glob("*.service"):
                # It looks for the program.
                text = unit.read_text().replace("/usr/local/bin/taskyard", BINARY)
                Path(directory, unit.name).write_text(text)
            units = [f"{directory}/taskyard.service", f"{directory}/taskyard-worker@1.service"]
            code, said = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units)
        self.assertEqual((code, said), (0, ""))

    def test_units_are_closed_to_what_they_do_not_need(self):
        for unit in SYSTEMD.glob("*.service"):
            code, said = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit)
            self.assertEqual(code, 0, said)

    def test_haproxy_takes_its_files(self):
        for path in sorted(TOP.glob("deploy/*/haproxy.cfg")):
            with tempfile.TemporaryDirectory() as directory:
                # Names that are known elsewhere; a warning is a failure here.
                text = re.sub(r"^(    server (\S+)) \2:", r"\1 127.0.0.1:", path.read_text(), flags=re.MULTILINE)
                Path(directory, "haproxy.cfg").write_text(text)
                code, said = run("haproxy", "-dW", "-c", "-f", f"{directory}/haproxy.cfg")
            self.assertEqual(code, 0, f"{path}: {said}")

    def test_the_development_container_is_one(self):
        said = json.loads((TOP / ".devcontainer/devcontainer.json").read_text())
        self.assertTrue((TOP / ".devcontainer" / said["build"]["dockerfile"]).is_file())
        known = re.search(r"one of ([a-z, ]+)\)", (TOP / "tests/prepare").read_text())[1].split(", ")
        wanted = re.search(r"tests/prepare ([a-z ]+)", said["updateContentCommand"])[1].split()
        self.assertLessEqual(set(wanted), set(known))

    def test_scripts_are_shell(self):
        for path in [*TOP.glob("deploy/**/*.sh"), *TOP.glob("tests/deploy/**/*.sh")]:
            self.assertEqual(run("bash", "-n", path), (0, ""))
            self.assertTrue(os.access(path, os.X_OK), path)


class Names(unittest.TestCase):
    def test_every_variable_is_a_setting(self):
        for path in [*ALL, TOP / "docs/deployment.md"]:
            for name in set(re.findall(r"\bTASKYARD_[A-Z0-9_]+\b", path.read_text())):
                self.assertTrue(name in SETTINGS, f"{path}: docs/configuration.md does not have {name}")

    def test_what_compose_files_take_from_the_environment_is_told(self):
        page = (TOP / "docs/deployment.md").read_text()
        for path in COMPOSE:
            for name in set(re.findall(r"\$\{(\w+)", path.read_text())):
                head = path.read_text().partition("\nname:")[0]
                self.assertTrue(name in head or f"`{name}`" in page, f"{path}: {name}")

    def test_every_flag_is_one(self):
        others = {"--build", "--scale", "--now", "--file", "--volumes"}
        for path in ALL:
            if path.suffix == ".sh" or "ockerfile" in path.name or ".devcontainer" in str(path):
                continue
            text = path.read_text()
            for flag in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - others:
                is_kubectl = flag in ("--kustomize", "--namespace", "--from-literal")
                is_postgres = flag in ("--quiet", "--host", "--username", "--dbname")
                is_health = flag == "--worker" and "`--worker " in (TOP / "docs/cli.md").read_text()
                self.assertTrue(flag in SETTINGS or is_kubectl or is_postgres or is_health, f"{path}: {flag}")

    def test_each_command_takes_what_it_is_given(self):
        for config in (SYSTEMD / "server.toml", SYSTEMD / "worker.toml"):
            # What stands behind # is meant to be put in force.
            text = re.sub(r"^# (\w+ = )", r"\1", config.read_text(), flags=re.MULTILINE)
            names, command = {}, "serve" if "server" in config.name else "worker"
            for line in text.splitlines():
                if " = " in line and not line.startswith("#"):
                    names |= tomllib.loads(line)
                    variables = [name for name, commands in SETTINGS.items() if name == "--" + line.split(" = ")[0].replace("_", "-") and command in commands]
                    self.assertEqual(len(variables), 1, line)
            code, said = run(BINARY, "config", "--config", config, env={})
            self.assertEqual(code, 0, said)
        for document in of_kind("Kustomization"):
            for generated in document.get("configMapGenerator", []):
                command = {"taskyard-server": "serve", "taskyard-worker": "worker"}[generated["name"]]
                given = dict(pair.split("=", 1) for pair in generated["literals"])
                for name in given:
                    self.assertIn(command, SETTINGS[name], name)
                if command == "serve":
                    code, said = run(BINARY, "config", env=given)
                    self.assertEqual(code, 0, said)

    def test_probes_ask_routes_that_are_there(self):
        routes = json.loads((TOP / "docs/openapi.json").read_text())["paths"]
        asked = {probe["httpGet"]["path"] for document in of_kind("Deployment")
                 for container in document["spec"]["template"]["spec"]["containers"]
                 for name, probe in container.items() if name.endswith("Probe") and "httpGet" in probe}
        self.assertEqual(asked, {"/health", "/ready"})
        asked |= set(re.findall(r"uri (\S+)", (TOP / "deploy/ha/haproxy.cfg").read_text()))
        self.assertLessEqual(asked, routes.keys())

    def test_queries_ask_for_metrics_that_are_there(self):
        with tempfile.TemporaryDirectory() as directory:
            words = [BINARY, "serve", "--listen", "127.0.0.1:0", "--internal-workers", "0"]
            server = subprocess.Popen(words, cwd=directory, env={"no_proxy": "*"}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            url = server.stdout.readline().split()[-1]
            task = urllib.request.Request(f"{url}/api/v1/tasks", b'{"kind": "echo", "input": 1}', {"content-type": "application/json"})
            urllib.request.urlopen(task).close()
            with urllib.request.urlopen(f"{url}/metrics") as answer:
                told = answer.read().decode()
            server.terminate()
            server.wait()
            server.stdout.close()
        shown = re.findall(r"^(taskyard_\w+)(?:\{(\S*)\})? ", told, re.MULTILINE)
        queries = [document["metricsQuery"] for path, text in every_document() for document in text.get("rules", {}).get("external", [])]
        queries += [trigger["metadata"]["query"] for document in of_kind("ScaledObject") for trigger in document["spec"]["triggers"]]
        self.assertEqual(len(set(queries)), 1, "both ways of scaling go by the same")
        for name, labels in re.findall(r"(?:by \((\w+)\) )?\((taskyard_\w+(?:\{[^}]*\})?)\)", queries[0]):
            metric, _, matcher = labels.partition("{")
            found = [labels for shown_name, labels in shown if shown_name == metric]
            self.assertTrue(found, metric)
            self.assertTrue(any(f'{name}="' in labels for labels in found), f"{metric} has no {name}")
            for label, values in re.findall(r'(\w+)=~"([^"]*)"', matcher):
                for value in values.split("|"):
                    self.assertTrue(any(f'{label}="{value}"' in labels for labels in found), f"{metric}: {label}={value}")

    def test_no_registry_is_named_and_nothing_secret_is_baked_in(self):
        for path in ALL:
            text = path.read_text()
            for image in re.findall(r"^\s*(?:image: |FROM )(\S+)", text, re.MULTILINE):
                self.assertNotIn("/", re.sub(r"\$\{\w+:-(.*)\}", r"\1", image), path)
        for path in DOCKERFILES:
            self.assertNotRegex(path.read_text(), r"(?i)(ENV|ARG)\s+\w*(TOKEN|PASSWORD|SECRET)")


    def test_the_proxy_bears_the_longest_silence(self):
        limits = (TOP / "docs/limits.md").read_text()
        longest = int(re.search(r"`wait_ms`\) \| (\d+) s \|", limits)[1])
        shown = re.findall(r"^    timeout (client|server) (\d+)s", (TOP / "deploy/ha/haproxy.cfg").read_text(), re.MULTILINE)
        self.assertEqual(len(shown), 2)
        for name, within in shown:
            self.assertGreaterEqual(int(within), longest + 10, name)
        # A reader that is slower is told so by the server, not by the proxy.
        within = re.search(r"`--write-pause TIME`.*\| `(\d+)s` \|", (TOP / "docs/configuration.md").read_text())[1]
        self.assertGreater(int(shown[0][1]), int(within))


class Kubernetes(unittest.TestCase):
    def test_what_is_applied_is_all_that_is_there(self):
        said = yaml.safe_load((BASE / "kustomization.yaml").read_text())
        there = {path.name for path in BASE.glob("*.yaml")} - NOT_APPLIED - {"kustomization.yaml"}
        self.assertEqual(set(said["resources"]), there)

    def test_selectors_find_what_they_are_for(self):
        templates = {document["metadata"]["name"]: document["spec"]["template"]["metadata"]["labels"] for document in of_kind("Deployment")}
        for document in of_kind("Deployment"):
            self.assertEqual(document["spec"]["selector"]["matchLabels"], templates[document["metadata"]["name"]])
        service = of_kind("Service")[0]
        self.assertEqual(service["spec"]["selector"], templates["taskyard-server"])
        for kind, place in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
            for document in of_kind(kind):
                self.assertEqual(document["spec"][place]["matchLabels"], templates[document["metadata"]["name"]])
        for document in of_kind("HorizontalPodAutoscaler") + of_kind("ScaledObject"):
            self.assertEqual(document["spec"]["scaleTargetRef"]["name"], "taskyard-worker")

    def test_nothing_runs_as_root_or_may_become_it(self):
        for document in of_kind("Deployment"):
            pod = document["spec"]["template"]["spec"]
            self.assertTrue(pod["securityContext"]["runAsNonRoot"])
            self.assertEqual(pod["securityContext"]["runAsUser"], 10001)
            for container in pod["containers"]:
                self.assertFalse(container["securityContext"]["allowPrivilegeEscalation"])
                self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})

    def test_secrets_are_there_under_the_names_that_are_referred_to(self):
        secret = yaml.safe_load((BASE / "secret.example.yaml").read_text())
        for document in of_kind("Deployment"):
            for variable in document["spec"]["template"]["spec"]["containers"][0]["env"]:
                reference = variable["valueFrom"].get("secretKeyRef")
                if reference:
                    self.assertEqual(reference["name"], secret["metadata"]["name"])
                    self.assertIn(reference["key"], secret["stringData"])


class Stopping(unittest.TestCase):
    """Nobody kills what has not had the time that its settings give it."""

    @staticmethod
    def seconds(text):
        amount, unit = re.fullmatch(r"(\d+)(s|m|h)?", text).groups()
        return int(amount) * {"m": 60, "h": 3600}.get(unit, 1)

    def default(self, flag, command):
        rows = [row for row in (TOP / "docs/configuration.md").read_text().splitlines() if row.startswith(f"| `{flag} ") and f"`{command}`" in row]
        self.assertEqual(len(rows), 1, flag)
        return rows[0].split("|")[4].strip(" `")

    def needed(self, command, given):
        time = lambda flag: self.seconds(given.get("TASKYARD_" + flag[2:].upper().replace("-", "_")) or self.default(flag, command))
        if command == "worker":
            return time("--drain") + time("--command-grace") + time("--deliver")
        # With no workers inside nothing drains. Requests under way have 10 s.
        drains = 0 if given.get("TASKYARD_INTERNAL_WORKERS") == "0" else time("--drain") + time("--command-grace")
        return max(drains, time("--linger")) + time("--deliver") + 10

    def test_time_to_stop_is_enough(self):
        kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
        given = {map["name"]: dict(pair.split("=", 1) for pair in map["literals"]) for map in kustomization["configMapGenerator"]}
        for document in of_kind("Deployment"):
            name = document["metadata"]["name"]
            command = document["spec"]["template"]["spec"]["containers"][0]["args"][0]
            self.assertGreater(document["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], self.needed(command, given[name]))
        for path in COMPOSE:
            for name, service in yaml.safe_load(path.read_text())["services"].items():
                if service["image"] == "taskyard:latest":
                    command = "worker" if name == "worker" else "serve"
                    environment = service["environment"] | ({"TASKYARD_INTERNAL_WORKERS": "0"} if command == "serve" else {})
                    self.assertGreater(self.seconds(service["stop_grace_period"]), self.needed(command, environment), f"{path} {name}")
        for unit, command in (("taskyard.service", "serve"), ("taskyard-worker@.service", "worker")):
            stop = re.search(r"^TimeoutStopSec=(\S+)$", (SYSTEMD / unit).read_text(), re.MULTILINE)[1]
            self.assertGreater(self.seconds(stop), self.needed(command, {}), unit)


if __name__ == "__main__":
    unittest.main(verbosity=2)
