"""What measures counts what is there, and nothing else."""

import socket
import sys
import threading
import time
import unittest
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import gauge


def message(letter, body=b""):
    return letter + (len(body) + 4).to_bytes(4, "big") + body


START = (8 + 5).to_bytes(4, "big") + (196608).to_bytes(4, "big") + b"user\0"
ENCRYPT = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


class Talking(unittest.TestCase):
    def test_what_ends_a_request_is_counted_however_it_is_cut(self):
        sent = START + message(b"P", b"SSSS") + message(b"S") + message(b"Q", b"begin\0") + message(b"B", b"ZQS")
        for size in (1, 3, len(sent)):
            talk = gauge.Talk()
            pieces = [sent[at:at + size] for at in range(0, len(sent), size)]
            self.assertEqual(sum(map(talk.sent, pieces)), 2)

    def test_encryption_that_is_refused_is_neither_request_nor_answer(self):
        talk = gauge.Talk()
        self.assertEqual(talk.sent(ENCRYPT), 0)
        self.assertEqual(talk.answered(b"N"), 0)
        self.assertEqual(talk.sent(START + message(b"S")), 1)
        self.assertEqual(talk.answered(message(b"R", b"ZZZZ") + message(b"Z", b"I")), 1)


class Passing(unittest.TestCase):
    def test_requests_that_travel_together_are_one_trip(self):
        """A server that answers each request, behind the proxy; asked for two together, then for one."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=self.answer, args=(listener,), daemon=True).start()
            url = "postgresql://nobody@127.0.0.1:%d/none" % listener.getsockname()[1]
            with closing(gauge.Proxy(url)) as proxy:
                address = proxy.listener.getsockname()
                self.assertEqual(proxy.url(url), f"postgresql://nobody@127.0.0.1:{address[1]}/none")
                with socket.create_connection(address) as caller:
                    caller.sendall(START)
                    for requests in (2, 1):
                        caller.sendall(message(b"S") * requests)
                        self.read(caller, 6 * requests)
                counts = proxy.look()
        self.assertEqual((counts["trips"], counts["syncs"]), (2, 3))
        self.assertEqual((counts["bytes_out"], counts["bytes_in"]), (len(START) + 15, 18))

    def answer(self, listener):
        talk = gauge.Talk()
        with listener.accept()[0] as caller:
            while data := caller.recv(100):
                caller.sendall(message(b"Z", b"I") * talk.sent(data))

    def read(self, caller, count):
        while count:
            count -= len(caller.recv(count))


class Processes(unittest.TestCase):
    def test_the_clock_of_a_process_is_that_of_its_threads(self):
        before, own = gauge.cpu_of(gauge.os.getpid()), time.process_time()
        while time.process_time() - own < 0.05:
            pass
        spent = gauge.cpu_of(gauge.os.getpid()) - before
        self.assertGreaterEqual(spent, 0.05)
        self.assertLessEqual(spent, time.process_time() - own + 0.01)


if __name__ == "__main__":
    unittest.main()
