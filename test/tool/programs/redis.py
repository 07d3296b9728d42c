# SPDX-License-Identifier: MIT
"""redis.py TONG ROOT: a server, a client that subscribed, and one that waits for a list, over both kinds of sockets."""
import os

from stage import free_port, perform, subprocess_output


def play(stage):
    port, path = free_port(), stage.path("redis")
    server = stage.start("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", path, "--save", "",
                         "--appendonly", "no", "--dir", stage.directory)

    def client(*words):
        return ["redis-cli", "-s", path, *words]
    stage.until("the server", lambda: os.path.exists(path) and subprocess_output(client("ping")) == "PONG\n")
    subscriber = stage.start(*client("subscribe", "news"), log="subscriber")
    taker = stage.start("redis-cli", "-p", str(port), "blpop", "list", "0", log="taker")
    stage.says("subscriber", "subscribe\nnews\n1\n")
    stage.until("the taker to wait", lambda: "blocked_clients:1" in subprocess_output(client("info", "clients")))
    everybody = {server.pid, subscriber.pid, taker.pid}
    seen = stage.settled(everybody, "two connections", lambda seen: all(
        seen.sockets(one.pid, server.pid) for one in (subscriber, taker)))

    for one, kind, name in ((subscriber, "unix", path), (taker, "tcp", ":%d" % port)):
        found = seen.sockets(one.pid, server.pid)
        other = seen.by_index[found[0]["peer"]]
        stage.check("a client by %s: one connection with the server, of these two only" % kind,
                    len(found) == 1 and found[0]["kind"] == kind and seen.at(found[0]) == {one.pid} and
                    seen.at(other) == {server.pid}, found)
        stage.check("the connection by %s has the server's name" % kind, name in other["name"], other)
    listening = {thing["kind"] for thing in seen.all if "listening" in thing["flags"] and server.pid in seen.at(thing)}
    stage.check("the server listens at both", listening == {"unix", "tcp"}, listening)
    stage.check_nobody_stuck(seen, everybody)
    mapped = stage.look("map", str(server.pid))
    stage.check("the map of the server has both clients", all(mapped.sockets(server.pid, one.pid)
                for one in (subscriber, taker)))
    stage.check_shown("the map names the client at the port", r"^  <-> tcp +127.0.0.1:%d 127.0.0.1:\d+  redis-cli/%d$"
                      % (port, taker.pid), "map", str(server.pid))
    listed = stage.look("ls", "--kind", "tcp", "--of", str(taker.pid))
    stage.check("the list of one client has its one connection", len(listed.all) == 1, listed.all)


perform(play, "redis-server", "redis-cli")
