"""Has a test's process go on in namespaces of its own, so that it can make networks and mounts, and nothing is left of them
or of any process that it started when it ends, however it ends."""

import os
import subprocess
import sys
import tempfile

MARK = "TASKYARD_TEST_APART"
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def go_apart():
    if MARK in os.environ:
        return
    if os.geteuid() != 0 or subprocess.run([*NAMESPACES, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        print("skipped: networks and mounts of its own need root, where the machine lets that have them")
        sys.exit(0)
    with tempfile.TemporaryDirectory(prefix="taskyard-deploy.") as directory:
        # The shell is its first process, which buries what others leave behind.
        words = [*NAMESPACES, "bash", "-c", '"$@" & wait $!', "apart", sys.executable, *sys.argv]
        ran = subprocess.run(words, env={**os.environ, MARK: directory, "no_proxy": "*"})
    sys.exit(ran.returncode)


def directory():
    """A place that is gone afterwards."""
    return os.environ[MARK]
