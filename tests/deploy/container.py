"""Runs one command as a container would, with what Linux has for it: `container.py SPEC.json`.

There is no container runtime where the tests run, and no image could be fetched. So the machine's own files stand in for
the image's: the container sees them through an overlay of its own, and has its own network, processes, host name and
mounts. What the specification says (user, environment, mounts, read-only or not, no capabilities) is done as a runtime
does it. Writes the process's id to the file `pid` beside the specification, once it may be signalled.
"""

import ctypes
import json
import os
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind=None, flags=0, data=None):
    def text(value):
        return None if value is None else value.encode()

    check(libc.mount(text(source), text(target), text(kind), flags, text(data)), f"mount {target}")


def place(root, path):
    """Where a path of the container is, seen from here; what is missing on the way there is made."""
    target = root + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    return target


def bind(source, target, read_only):
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        open(target, "w").close()
    mount(source, target, flags=MS_BIND | MS_REC)
    if read_only:
        mount(None, target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def enter(spec):
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    layers, root = spec["directory"] + "/layers", spec["directory"] + "/root"
    os.makedirs(layers), os.makedirs(root)
    mount("tmpfs", layers, "tmpfs")
    os.mkdir(layers + "/upper"), os.mkdir(layers + "/work")
    mount("overlay", root, "overlay", data=f"lowerdir=/,upperdir={layers}/upper,workdir={layers}/work")
    for path in spec["files"]:
        place(root, path)
    os.makedirs(root + spec["workdir"], exist_ok=True)
    os.chown(root + spec["workdir"], spec["uid"], spec["gid"])
    # What the machine has mounted there is not the image's.
    mount("tmpfs", root + "/run", "tmpfs", data="mode=755")
    for path in spec["tmpfs"]:
        target = place(root, path)
        os.makedirs(target, exist_ok=True)
        mount("tmpfs", target, "tmpfs", MS_NOSUID, "mode=1777")
    for path, text in spec["files"].items():
        beside = f"{layers}/{path.replace('/', '+')}"
        with open(beside, "w") as file:
            file.write(text)
        os.chmod(beside, 0o755)
        bind(beside, root + path, read_only=True)
    for source, path, read_only in spec["binds"]:
        bind(source, place(root, path), read_only)
    mount("/dev", root + "/dev", flags=MS_BIND | MS_REC)
    mount("proc", root + "/proc", "proc")
    if spec["postgres_socket"]:
        os.makedirs(root + "/run/postgresql")
        os.chown(root + "/run/postgresql", spec["uid"], spec["gid"])
    if spec["read_only"]:
        mount(None, root, flags=MS_REMOUNT | MS_RDONLY)
    os.chroot(root)
    os.chdir(spec["workdir"])
    name = spec["hostname"].encode()
    check(libc.sethostname(name, len(name)), "sethostname")


def main():
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET), "unshare")
    # Whoever started this one connects the network.
    print("apart", flush=True)
    sys.stdin.readline()
    child = os.fork()
    if child == 0:
        try:
            enter(spec)
            os.execve(spec["command"][0], spec["command"], spec["environment"])
        except BaseException as error:
            os.write(2, f"container: {error}\n".encode())
            os._exit(125)
    with open(spec["directory"] + "/pid.new", "w") as file:
        file.write(str(child))
    os.rename(spec["directory"] + "/pid.new", spec["directory"] + "/pid")
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(128 - code if code < 0 else code)


main()
