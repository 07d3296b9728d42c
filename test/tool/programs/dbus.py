# SPDX-License-Identifier: MIT
"""dbus.py TONG ROOT: a session bus of its own with clients that listen."""
from stage import perform


def play(stage):
    path = stage.path("bus")
    address = "unix:path=" + path
    bus = stage.start("dbus-daemon", "--session", "--nofork", "--nopidfile", "--nosyslog", "--print-address",
                      "--address=" + address, log="bus.log")
    stage.says("bus.log", address)
    clients = [stage.start("dbus-monitor", "--address", address, log="client %d" % i) for i in range(3)]
    for i in range(len(clients)):
        stage.says("client %d" % i, "NameAcquired")
    everybody = {bus.pid, *(one.pid for one in clients)}
    seen = stage.settled(everybody, "an edge for each client", lambda seen: all(
        seen.sockets(bus.pid, one.pid) for one in clients))

    for one in clients:
        edges = seen.sockets(bus.pid, one.pid)
        stage.check("a client has one edge, to the bus", len(edges) == 1 and path in edges[0]["name"] and
                    seen.at(seen.by_index[edges[0]["peer"]]) == {one.pid}, edges)
    other = [(one.pid, two.pid) for one in clients for two in clients if seen.sockets(one.pid, two.pid)]
    stage.check("no client has an edge to another one", not other, other)
    listener = [one for one in seen.objects("unix", path) if "listening" in one["flags"]]
    stage.check("the bus listens", [seen.at(one) for one in listener] == [{bus.pid}], listener)
    stage.check_nobody_stuck(seen, everybody)
    mapped = stage.look("map", str(bus.pid))
    stage.check("the map of the bus has all clients", all(mapped.sockets(bus.pid, one.pid) for one in clients))
    stage.check_shown("the map of a client: one line, with the name of the bus",
                      r"^  <-> unix +%s  dbus-daemon/%d$" % (path, bus.pid), "map", str(clients[0].pid))
    listed = stage.look("ls", "--kind", "unix", "--of", str(clients[0].pid))
    stage.check("the list of a client has its end", [one["peer"] is not None for one in listed.all] == [True], listed.all)


perform(play, "dbus-daemon", "dbus-monitor")
