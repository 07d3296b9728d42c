# SPDX-License-Identifier: MIT
"""Processes that talk to each other in known ways, for tests of what shows them.  They end with the test."""
import ctypes
import os
import signal
import socket

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
IPC_PRIVATE, IPC_RMID, SETVAL = 0, 0, 16


class Actors:
    def __init__(self):
        self.pids, self.sets = [], []

    def start(self, name, keep, act):
        """A process of that name (15 bytes) with these descriptors only, in act() when this returns; its number."""
        there, say = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                LIBC.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
                for fd in map(int, os.listdir("/proc/self/fd")):
                    if fd not in keep and fd != say:
                        try:
                            os.close(fd)
                        except OSError:
                            pass
                os.close(say)
                act()
            finally:
                os._exit(1)
        os.close(say)
        os.read(there, 1)
        os.close(there)
        self.pids.append(pid)
        return pid

    def end(self, pid):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.pids.remove(pid)

    def end_all(self):
        for pid in list(self.pids):
            self.end(pid)
        while self.sets:
            LIBC.semctl(self.sets.pop(), 0, IPC_RMID)

    # ---- Groups of them -------------------------------------------------------------------------------------------

    def chain(self, names):
        """Each writes a pipe that the next reads."""
        pipes = [os.pipe() for _ in names[1:]]
        pids = []
        for i, name in enumerate(names):
            keep = [pipes[i - 1][0]] if i else []
            keep += [pipes[i][1]] if i < len(pipes) else []
            pids.append(self.start(name, keep, (lambda fd=keep[0]: os.read(fd, 1)) if i else signal.pause))
        for pipe in pipes:
            os.close(pipe[0])
            os.close(pipe[1])
        return pids

    def deadlock(self, left, right):
        """Each reads from a pipe that only the other could write."""
        one, other = os.pipe(), os.pipe()
        pids = [self.start(left, [one[0], other[1]], lambda: os.read(one[0], 1)),
                self.start(right, [other[0], one[1]], lambda: os.read(other[0], 1))]
        for fd in one + other:
            os.close(fd)
        return pids

    def crossed(self, left, right):
        """Each has taken one semaphore of System V and waits for the other one's; [] where there are none."""
        sets = [one for one in (LIBC.semget(IPC_PRIVATE, 1, 0o600) for _ in range(2)) if one >= 0]
        self.sets += sets
        if len(sets) < 2:
            return []
        for one in sets:
            LIBC.semctl(one, 0, SETVAL, 1)
        take = lambda one: LIBC.semop(one, (ctypes.c_short * 3)(0, -1, 0), 1)
        taken, go = os.pipe(), os.pipe()

        def act(first, second):
            take(first)
            os.write(taken[1], b"!")
            os.read(go[0], 1)
            take(second)

        pids = [self.start(left, [taken[1], go[0]], lambda: act(sets[0], sets[1])),
                self.start(right, [taken[1], go[0]], lambda: act(sets[1], sets[0]))]
        for _ in pids:
            os.read(taken[0], 1)
        for fd in taken + go:
            os.close(fd)
        return pids

    def star(self, center, names):
        """A socket from the center to each."""
        pairs = [socket.socketpair() for _ in names]
        pids = [self.start(center, [pair[0].fileno() for pair in pairs], signal.pause)]
        for name, pair in zip(names, pairs):
            pids.append(self.start(name, [pair[1].fileno()], lambda pair=pair: pair[1].recv(1)))
        for pair in pairs:
            pair[0].close()
            pair[1].close()
        return pids

    def bundle(self, writer, reader, count):
        """So many pipes between two."""
        pipes = [os.pipe() for _ in range(count)]
        pids = [self.start(writer, [pipe[1] for pipe in pipes], signal.pause),
                self.start(reader, [pipe[0] for pipe in pipes], lambda: os.read(pipes[0][0], 1))]
        for pipe in pipes:
            os.close(pipe[0])
            os.close(pipe[1])
        return pids

    def logged(self, pairs, reader):
        """Pairs over pipes whose members can all write one more pipe, which the reader reads."""
        log = os.pipe()
        pids = [self.start(reader, [log[0]], lambda: os.read(log[0], 1))]
        for writer, other in pairs:
            pipe = os.pipe()
            pids.append(self.start(writer, [pipe[1], log[1]], signal.pause))
            pids.append(self.start(other, [pipe[0], log[1]], lambda: os.read(pipe[0], 1)))
            os.close(pipe[0])
            os.close(pipe[1])
        os.close(log[0])
        os.close(log[1])
        return pids

    def listeners(self, path, name, other):
        """One listens at a socket of this name, the other is connected to it."""
        listener, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        client.connect(path)
        server = listener.accept()[0]
        pids = [self.start(name, [listener.fileno(), server.fileno()], signal.pause),
                self.start(other, [client.fileno()], lambda: client.recv(1))]
        for one in (listener, client, server):
            one.close()
        return pids

    def alone(self, names):
        return [self.start(name, [], signal.pause) for name in names]
