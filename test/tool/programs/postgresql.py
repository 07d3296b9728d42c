# SPDX-License-Identifier: MIT
"""postgresql.py TONG ROOT: a cluster, a client in a transaction, and one that waits for its lock."""
import glob
import os
import shutil
import subprocess

from stage import NOBODY, children, is_root, perform, skip, text


def directory_of_programs():
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb") or list(filter(None, [shutil.which("initdb")]))
    if not found:
        skip("initdb is not installed")
    return os.path.dirname(sorted(found)[-1])


class Cluster:
    def __init__(self, stage):
        self.stage, self.programs = stage, directory_of_programs()
        self.place = stage.path("cluster")
        os.mkdir(self.place, 0o700)
        if is_root():
            os.chmod(stage.directory, 0o711)
            os.chown(self.place, NOBODY, NOBODY)
        data = os.path.join(self.place, "data")
        stage.run(self.program("initdb"), "-D", data, "-A", "trust", "-U", "tong", "-E", "UTF8", "--no-locale",
                  "--no-sync", unprivileged=True)
        self.server = stage.start(self.program("postgres"), "-D", data, "-k", self.place, "-c", "listen_addresses=",
                                  "-c", "fsync=off", "-c", "autovacuum=off", "-c", "dynamic_shared_memory_type=posix", unprivileged=True)
        stage.until("the cluster", lambda: self.program_succeeds("pg_isready", "-q", "-h", self.place))

    def program(self, name):
        return os.path.join(self.programs, name)

    def program_succeeds(self, name, *arguments):
        return subprocess.run([self.program(name), *arguments], check=False).returncode == 0

    def client(self, name):
        return self.stage.start(self.program("psql"), "-qAtX", "-h", self.place, "-U", "tong", "postgres", log=name,
                                stdin=subprocess.PIPE, text=True)

    def backend(self, state):
        """The process that serves a client in that state, by its title."""
        def find():
            return [pid for pid in children(self.server.pid) if state in text("/proc/%d/cmdline" % pid)]
        return self.stage.until("a backend %s" % state, find)[0]


def say(client, *lines):
    client.stdin.write("".join(line + "\n" for line in lines))
    client.stdin.flush()


def play(stage):
    cluster = Cluster(stage)
    holder, waiter = cluster.client("holder"), cluster.client("waiter")
    say(holder, "create table t (i int);", "begin;", "lock table t;", "select 'locked';")
    stage.says("holder", "locked")
    say(waiter, "begin;", "lock table t;")
    backends = {cluster.backend("idle in transaction"): holder.pid, cluster.backend("LOCK TABLE waiting"): waiter.pid}
    seen = stage.settled({*backends, holder.pid, waiter.pid}, "clients at their backends", lambda seen: all(
        seen.sockets(client, backend) for backend, client in backends.items()))
    cluster_pids = {cluster.server.pid, *seen.descendants(cluster.server.pid)}

    attached = [one for one in seen.objects("sysvshm") if cluster.server.pid in seen.at(one)]
    stage.check("one System V segment, attached by all processes of the cluster and by nobody else",
                len(attached) == 1 and seen.at(attached[0]) == cluster_pids, [seen.at(one) for one in attached])
    dynamic = seen.objects("shm", "/dev/shm/PostgreSQL.")
    dynamic = [one for one in dynamic if cluster.server.pid in seen.at(one)]
    stage.check("its segment in /dev/shm is mapped by them", dynamic and seen.at(dynamic[0]) <= cluster_pids and
                all(end["mapped"] for end in dynamic[0]["ends"]), dynamic)
    for backend, client in backends.items():
        pair = seen.sockets(client, backend)
        other = seen.by_index[pair[0]["peer"]] if pair else None
        stage.check("a client and its backend: one connection, both ways, nobody else at it", len(pair) == 1 and
                    seen.at(pair[0]) == {client} and seen.at(other) == {backend} and
                    all(end["sends"] and end["receives"] for end in pair[0]["ends"] + other["ends"]), pair)
        stage.check("the connection bears the name of the socket", other and
                    os.path.join(cluster.place, ".s.PGSQL.5432") in other["name"], other)
    stage.check_nobody_stuck(seen, cluster_pids | {holder.pid, waiter.pid})
    mapped = stage.look("map", str(holder.pid))
    stage.check("the map of a client has its connection", mapped.sockets(holder.pid, next(iter(backends))))
    listed = stage.look("ls", "--kind", "sysvshm", "--of", str(waiter.pid))
    stage.check("the list of a client has no System V memory", listed.all == [], listed.all)
    server = str(cluster.server.pid)
    others = r"postgres/\d+" + r", \d+" * (len(cluster_pids) - 2)
    stage.check_shown("the map names all who attach the segment in one line", r"^  <-> sysvshm  key \S+  %s$" % others,
                      "map", server)
    name = r"\S+/\.s\.PGSQL\.5432 "
    stage.check_shown("the map of a client says what its backend is at",
                      "^  <-> unix +" + name + r" postgres/\d+ \(.*LOCK TABLE waiting\)$", "map", str(waiter.pid))
    stage.check_shown("the list says who is at the listener", "^unix +" + name + r".*listens postgres/%s$" % server,
                      "ls", "--of", server)


perform(play, users=2)
