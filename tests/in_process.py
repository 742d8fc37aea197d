"""In place of a process of its own: a thread, which sees what a test puts in place of modlib's functions."""

import queue
import threading
from types import SimpleNamespace


class Thread(threading.Thread):
    """A thread that is waited for like a process."""

    def kill(self):
        """Do nothing: it ends by itself."""


class Channel(queue.Queue):
    """Both ends of a pipe."""

    send, recv = queue.Queue.put, queue.Queue.get

    def close(self):
        """Do nothing: both ends are one."""


CONTEXT = SimpleNamespace(Pipe=lambda duplex: [Channel()] * 2, Process=Thread)


def patch(monkeypatch):
    """Let what modlib would compute in another process be computed in this one."""
    from modlib.study import workers

    monkeypatch.setattr(workers, "CONTEXT", CONTEXT)
    monkeypatch.setattr(workers, "take_one_thread", lambda: None)
