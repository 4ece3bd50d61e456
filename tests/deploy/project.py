"""What a Compose file says, done with `container.py`: the network, the names on it, the ports, the order of starting, the
health checks and the stopping. Only what the files in deploy/ make use of; anything else is refused, not passed over.
"""

import contextlib
import json
import os
import re
import resource
import secrets
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import yaml

TOP = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BINARY = os.environ["TASKYARD_TEST_BINARY"]
PATIENCE = 90
GATEWAY = "10.89.0.1"

# Of a service; what concerns the building of images, or a runtime that is not here, changes nothing of what is run.
DONE = {"image", "command", "entrypoint", "environment", "env_file", "user", "read_only", "tmpfs", "volumes", "ports",
        "depends_on", "healthcheck", "stop_signal", "stop_grace_period", "cap_drop", "hostname", "security_opt", "ulimits"}
LEFT = {"build", "init", "restart", "shm_size"}


def interpolate(text, variables):
    """`${A}`, `${A-b}`, `${A:-b}`, `${A:?why}`, one in another too, and `$$`."""
    said = ""
    while text:
        before, dollar, rest = text.partition("$")
        said += before
        if not dollar:
            break
        if rest.startswith("$"):
            said, text = said + "$", rest[1:]
            continue
        assert rest.startswith("{"), f"write ${{…}}: {text}"
        depth = 0
        for end, letter in enumerate(rest):
            depth += (letter == "{") - (letter == "}")
            if depth == 0:
                break
        inner, text = rest[1:end], rest[end + 1:]
        name, operator, word = re.fullmatch(r"(\w+)(?:(:?[-?])(.*))?", inner, re.DOTALL).groups()
        value = variables.get(name)
        is_there = value is not None and (value != "" or operator in ("-", "?", None))
        if is_there:
            said += value
        elif operator in ("?", ":?"):
            raise ValueError(f"{name} {word}")
        elif operator:
            said += interpolate(word, variables)
    return said


def interpolated(value, variables):
    if isinstance(value, dict):
        return {name: interpolated(inner, variables) for name, inner in value.items()}
    if isinstance(value, list):
        return [interpolated(inner, variables) for inner in value]
    return interpolate(value, variables) if isinstance(value, str) else value


def seconds(text):
    amount, unit = re.fullmatch(r"(\d+)(ms|s|m)", text).groups()
    return int(amount) * {"ms": 0.001, "s": 1, "m": 60}[unit]


def instructions(path):
    """Of a Dockerfile's last stage, as name and rest of the line."""
    text = re.sub(r"^\s*#.*\n", "", Path(path).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found = [line.strip().partition(" ")[::2] for line in text.splitlines() if line.strip()]
    last = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return found[last + 1:]


def own_image():
    """What our Dockerfile makes."""
    image = {"env": {}, "binds": [(BINARY, "/usr/local/bin/taskyard", True)], "user": "0", "entrypoint": [], "command": []}
    for name, rest in instructions(TOP / "Dockerfile"):
        if name == "USER":
            image["user"] = rest
        elif name == "WORKDIR":
            image["workdir"] = rest
        elif name == "ENV":
            image["env"] |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif name in ("ENTRYPOINT", "CMD"):
            image["entrypoint" if name == "ENTRYPOINT" else "command"] = json.loads(rest)
        elif name == "HEALTHCHECK":
            image["healthcheck"] = {"test": ["CMD", *json.loads(rest.partition("CMD")[2])], "start_period": "60s"}
    return image


def image_of(name):
    """The image, or what stands in for it: programs of Debian, and for PostgreSQL a script like its entrypoint."""
    kind = name.partition(":")[0]
    if kind == "taskyard":
        return own_image()
    if kind == "postgres":
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        script = (HERE / "postgres/docker-entrypoint.sh").read_text()
        return {"env": {"PGDATA": "/var/lib/postgresql/data", "PATH": f"{programs}:{os.defpath}:/usr/local/bin"},
                "files": {"/usr/local/bin/docker-entrypoint.sh": script}, "binds": [], "user": "0", "workdir": "/srv",
                "entrypoint": ["docker-entrypoint.sh"], "command": ["postgres"]}
    assert kind == "haproxy", name
    return {"env": {}, "binds": [], "user": "haproxy", "workdir": "/srv", "entrypoint": [], "command": []}


class Container:
    def __init__(self, project, service, number, said):
        image = image_of(said["image"])
        self.project, self.service, self.said, self.image = project, service, said, image
        self.name = f"{service}-{number}"
        self.hostname = said.get("hostname") or secrets.token_hex(6)
        self.address = project.next_address()
        self.check = said.get("healthcheck") or image.get("healthcheck")
        self.runs, self.process, self.pid = 0, None, None
        entrypoint = said.get("entrypoint") or image["entrypoint"]
        command = said.get("command") or ([] if "entrypoint" in said else image["command"])
        self.command = [*entrypoint, *command]
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": image["workdir"],
                            **image["env"], "HOSTNAME": self.hostname, **project.environment(said)}

    def ids(self):
        user, _, group = str(self.said.get("user") or self.image["user"]).partition(":")
        run = lambda *words: subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
        uid = int(user) if user.isdigit() else int(run("id", "-u", user))
        return uid, int(group) if group else (int(run("id", "-g", user)) if not user.isdigit() else uid)

    def as_user(self, command):
        """With what it may do, as the user that it is."""
        uid, gid = self.ids()
        words = ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        if self.said.get("cap_drop") == ["ALL"]:
            words += ["--bounding-set=-all", "--inh-caps=-all"]
        if "no-new-privileges:true" in self.said.get("security_opt", []):
            words += ["--no-new-privs"]
        # Not every root may go beyond what it has.
        files = min(self.said.get("ulimits", {}).get("nofile", 1024), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        return ["/usr/bin/prlimit", f"--nofile={files}", *words, *command]

    def binds(self):
        for volume in self.said.get("volumes", []):
            source, path, *flags = volume.split(":")
            if source.startswith((".", "/")):
                yield str((self.project.file.parent / source).resolve()), path, flags == ["ro"]
                continue
            # A new one is as the image has the place: here, open to whoever the image runs as.
            directory = self.project.directory / "volumes" / source
            if not directory.exists():
                directory.mkdir(parents=True)
                directory.chmod(0o1777)
                if "postgres" in self.said["image"]:
                    subprocess.run(["chown", "postgres", directory], check=True)
            yield str(directory), path, False

    def start(self):
        self.runs += 1
        directory = self.project.directory / self.name / str(self.runs)
        directory.mkdir(parents=True)
        self.log = directory / "log"
        uid, gid = self.ids()
        is_postgres = self.said["image"].startswith("postgres")
        if is_postgres:
            uid, gid = (int(subprocess.check_output(["id", flag, "postgres"])) for flag in ("-u", "-g"))
        spec = {
            "directory": str(directory), "workdir": self.image["workdir"], "uid": uid, "gid": gid, "hostname": self.hostname,
            "command": self.as_user(self.command), "environment": self.environment,
            "read_only": self.said.get("read_only", False), "postgres_socket": is_postgres,
            "tmpfs": [path.partition(":")[0] for path in self.said.get("tmpfs", [])],
            "binds": [*self.image["binds"], *self.binds()],
            "files": {"/etc/resolv.conf": f"nameserver {GATEWAY}\n", "/etc/hosts": "127.0.0.1 localhost\n",
                      **self.image.get("files", {})},
        }
        (directory / "spec.json").write_text(json.dumps(spec))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, HERE / "container.py", directory / "spec.json"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout.readline() == "apart\n", self.log.read_text()
        self.plug()
        threading.Thread(target=self.copy_output, args=(self.process.stdout, self.log), daemon=True).start()
        self.process.stdin.write("\n")
        self.process.stdin.close()
        self.project.wait_for(lambda: (directory / "pid").exists() or self.process.poll() is not None, f"{self.name} runs")
        self.pid = int((directory / "pid").read_text())
        self.project.names.setdefault(self.service, set()).add(self.address)
        return self

    @staticmethod
    def copy_output(pipe, path):
        with pipe, path.open("a") as log:
            for line in pipe:
                log.write(line)
                log.flush()

    def plug(self):
        """A cable from its network to that of the project."""
        outside = f"v{self.address.rpartition('.')[2]}.{self.runs}"
        run = lambda line: subprocess.run(line.split(), check=True)
        run(f"ip link add {outside} type veth peer name eth0 netns {self.process.pid}")
        run(f"ip link set {outside} master bridge0 up")
        inside = f"nsenter --target {self.process.pid} --net ip"
        run(f"{inside} link set lo up")
        run(f"{inside} address add {self.address}/24 dev eth0")
        run(f"{inside} link set eth0 up")

    def execute(self, command, timeout=PATIENCE):
        """A command inside of it, as `docker compose exec` runs one."""
        environment = [f"{name}={value}" for name, value in self.environment.items()]
        words = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--uts", "--ipc", "--pid", "--root",
                 f"--wd=/proc/{self.pid}/cwd", "/usr/bin/env", "-i", *environment, *self.as_user(command)]
        try:
            return subprocess.run(words, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, 124, "", f"not done within {timeout} s")

    def is_healthy(self):
        test = self.check["test"]
        command = test[1:] if test[0] == "CMD" else ["/bin/sh", "-c", test[1]]
        return self.execute(command, seconds(self.check.get("timeout", "30s"))).returncode == 0

    def until_healthy(self):
        def healthy():
            assert self.process.poll() is None, f"{self.name} has ended:\n{self.log.read_text()}"
            return self.is_healthy()

        self.project.wait_for(healthy, f"{self.name} is healthy")
        return self

    def gone(self):
        self.project.names[self.service].discard(self.address)

    def stop(self):
        """As `docker compose stop`: its exit code, within the time that the file gives it."""
        self.gone()
        default = "SIGINT" if self.said["image"].startswith("postgres") else "SIGTERM"
        os.kill(self.pid, getattr(signal, self.said.get("stop_signal", default)))
        return self.process.wait(seconds(self.said["stop_grace_period"]))

    def kill(self):
        self.gone()
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)


class Project:
    def __init__(self, file, directory, variables=None, scale=None, beside=None):
        """`beside` is what a second file would say: of services, further variables."""
        self.file, self.directory = TOP / file, Path(directory)
        self.variables = variables or {}
        said = interpolated(yaml.safe_load(self.file.read_text()), self.variables)
        self.services = said["services"]
        for name, environment in (beside or {}).items():
            self.services[name] = self.services[name] | {"environment": self.services[name]["environment"] | environment}
        for name, service in self.services.items():
            unknown = service.keys() - DONE - LEFT
            assert not unknown, f"{self.file}: {name}: what {unknown} means has to be written here first"
        self.addresses, self.names = 1, {}
        network()
        self.doors = [serve_names(self.names)]
        self.containers = {}
        for name, service in self.services.items():
            numbers = range(1, (scale or {}).get(name, 1) + 1)
            self.containers[name] = [Container(self, name, number, service) for number in numbers]
            for port in service.get("ports", []):
                address, outside, inside = port.split(":")
                self.doors.append(publish(address, int(outside), self.containers[name][0], int(inside)))

    def __getitem__(self, name):
        service, _, number = name.rpartition("#")
        return self.containers[service][int(number) - 1] if service else self.containers[name][0]

    def next_address(self):
        self.addresses += 1
        return f"10.89.0.{self.addresses}"

    def environment(self, service):
        files = service.get("env_file") or []
        said = {}
        for file in [files] if isinstance(files, str) else files:
            lines = (self.file.parent / file).read_text().splitlines()
            said |= dict(line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))
        for name, value in (service.get("environment") or {}).items():
            # Without a value it is that of whoever starts it, if there is one.
            value = self.variables.get(name) if value is None else value
            if value is not None:
                assert isinstance(value, str), f"{name}: {value!r} is no text: quote it"
                said[name] = value
        return said

    def up(self):
        """Everything, each once what it depends on is so far."""
        started = set()

        def begin(name):
            if name in started:
                return
            started.add(name)
            for other, how in self.services[name].get("depends_on", {}).items():
                begin(other)
                if how["condition"] == "service_healthy":
                    for container in self.containers[other]:
                        container.until_healthy()
            for container in self.containers[name]:
                container.start()

        for name in self.services:
            begin(name)
        for containers in self.containers.values():
            for container in containers:
                if container.check:
                    container.until_healthy()
        return self

    def wait_for(self, is_so, what):
        until = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > until:
                every = [each for all in self.containers.values() for each in all if each.runs]
                logs = "\n".join(f"--- {each.name}\n{each.log.read_text()[-1500:]}" for each in every)
                raise AssertionError(f"not in {PATIENCE} s: {what}\n{logs}")
            # What is waited for gives no signal.
            time.sleep(0.05)

    def down(self):
        for containers in self.containers.values():
            for container in containers:
                if container.process and container.process.poll() is None:
                    container.kill()
        for door in self.doors:
            # So that what waits there wakes up; of datagrams it is told that nobody is there, and does.
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            door.close()


def network():
    """A network of this process alone, the first time."""
    if not any(name == "bridge0" for _, name in socket.if_nameindex()):
        for line in ("link set lo up", "link add bridge0 type bridge", f"address add {GATEWAY}/24 dev bridge0",
                     "link set bridge0 up"):
            subprocess.run(["ip", *line.split()], check=True)


def serve_names(names):
    """Answers for the names of services that run, as a runtime's name server does."""
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind((GATEWAY, 53))

    def answer(question):
        end, labels = 12, []
        while question[end]:
            labels.append(question[end + 1:end + 1 + question[end]].decode())
            end += 1 + question[end]
        kind = struct.unpack(">H", question[end + 1:end + 3])[0]
        asked = question[12:end + 5]
        addresses = names.get(".".join(labels))
        found = sorted(addresses) if addresses and kind == 1 else []
        flags = 0x8580 | (0 if addresses else 3)
        head = question[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0)
        records = (b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address) for address in found)
        return head + asked + b"".join(records)

    def serve():
        while True:
            try:
                question, whom = door.recvfrom(512)
                if not question:
                    return
                door.sendto(answer(question), whom)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return door


def publish(address, port, container, inside):
    """Leads a port of this machine to one of a container, whose caller is not on the same machine then."""
    door = socket.create_server((address, port))

    def copy(source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            # The other direction ends as well.
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def lead(caller):
        with caller:
            try:
                behind = socket.create_connection((container.address, inside), timeout=5)
            except OSError:
                return
            with behind:
                behind.settimeout(None)
                back = threading.Thread(target=copy, args=(behind, caller), daemon=True)
                back.start()
                copy(caller, behind)
                back.join()

    def serve():
        while True:
            try:
                caller, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=lead, args=(caller,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return door
