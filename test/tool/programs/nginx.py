# SPDX-License-Identifier: MIT
"""nginx.py TONG ROOT: a master and two workers."""
import socket

from stage import children, free_port, is_root, perform, text

SETTINGS = """
daemon off; worker_processes 2; pid nginx.pid; lock_file nginx.lock; error_log stderr; %s
events { worker_connections 16; }
http {
    access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server { listen 127.0.0.1:%d; return 200 "tong"; }
}
"""


def play(stage):
    port = free_port()
    with open(stage.path("nginx.conf"), "w", encoding="ascii") as file:
        file.write(SETTINGS % ("user nobody nogroup;" if is_root() else "", port))
    master = stage.start("nginx", "-e", "stderr", "-p", stage.directory, "-c", stage.path("nginx.conf"))
    workers = stage.until("two workers", lambda: [pid for pid in children(master.pid)
                          if "worker process" in text("/proc/%d/cmdline" % pid)][1:] and children(master.pid))
    everybody = {master.pid, *workers}
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        stage.check("a worker answers", client.recv(4096).endswith(b"tong"))
    name = "127.0.0.1:%d" % port
    seen = stage.settled(everybody, "the listener at all of them", lambda seen: any(
        seen.at(one) == everybody for one in seen.objects("tcp", name)))

    listener = [one for one in seen.objects("tcp", name) if "listening" in one["flags"]]
    stage.check("one listener, at the master and its workers", len(listener) == 1 and
                seen.at(listener[0]) == everybody, listener)
    descriptions = {end["description"] for end in listener[0]["ends"]}
    stage.check("it is one open file description", len(descriptions) == 1 and None not in descriptions, descriptions)
    inherited = {seen.pid(end) for end in listener[0]["ends"] if end["inherited"]}
    stage.check("which the workers inherited", inherited == set(workers), inherited)
    for worker in workers:
        # The master keeps both sockets of each pair; of each a worker has one: its own, or that to speak to another.
        pairs = [one for one in seen.sockets(worker, master.pid) if one["kind"] == "unix"]
        stage.check("a worker has one socket of the pair of each", len(pairs) == len(workers) and all(
            seen.at(one) == {master.pid, worker} and worker not in seen.at(seen.by_index[one["peer"]])
            for one in pairs), pairs)
        marks = [(end["inherited"], seen.pid(end)) for one in pairs for end in one["ends"]]
        stage.check("its ends are marked as inherited, the master's are not", all(
            mark == (pid == worker) for mark, pid in marks), marks)
    stage.check_nobody_stuck(seen, everybody)
    mapped = stage.look("map", str(master.pid))
    stage.check("the map of the master has its workers", all(mapped.sockets(master.pid, worker) for worker in workers))
    listed = stage.look("ls", "--kind", "tcp", "--of", str(master.pid))
    stage.check("the list of the master has its listener", [one["name"] for one in listed.all] == [listener[0]["name"]],
                listed.all)
    stage.check_shown("the map: who only share the listener say nothing to each other by it",
                      r"^  --- tcp +%s \(listens\)  nginx/\d+, \d+$" % name, "map", str(master.pid))
    stage.check_shown("the map: which of its processes", r"^nginx/\d+  nginx: worker process$", "map", str(workers[0]))


perform(play, "nginx", users=2)
