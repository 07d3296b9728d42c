# SPDX-License-Identifier: MIT
"""forgotten.py TONG ROOT: a lock whose taker is dead, memory that nobody attaches, and what everybody may write to."""
import os
import re

from stage import LEFTOVER, ORPHAN, WORLD_WRITABLE, children, perform, text


def locked(stage):
    """flock(1) takes the lock and is killed; the program that it started has the descriptor, and so the lock."""
    path = stage.path("lock")
    taker = stage.start("flock", path, "sleep", "1000")
    heir = stage.until("the program under the lock", lambda: [
        pid for pid in children(taker.pid) if text("/proc/%d/comm" % pid) == "sleep\n"])[0]
    taker.kill()
    taker.wait()
    if ":%d " % os.stat(path).st_ino not in text("/proc/locks"):
        stage.report.skip("a lock whose taker is dead", "the kernel does not list it in a namespace of processes")
        return
    waiter = stage.start("flock", path, "true")
    seen = stage.settled({heir, waiter.pid}, "somebody who waits for the lock", lambda seen: any(
        end["waits_for_lock"] for one in seen.objects("lock", path) for end in seen.ends(one, waiter.pid)))
    lock = seen.objects("lock", path)[0]
    holders = {seen.pid(end) for end in lock["ends"] if end["holds_lock"]}
    stage.check("the descendant is named as the holder, not the dead taker", holders == {heir}, lock)
    stage.check_nobody_stuck(seen, {heir, waiter.pid})
    stage.check_shown("the map of who waits names the holder", r"^  --- lock +%s  sleep/%d \(holds\)$" % (path, heir),
                      "map", str(waiter.pid))
    stage.check_shown("the map of the holder names who waits", r"^  --- lock +%s  flock/%d \(waits\)$" %
                      (path, waiter.pid), "map", str(heir))


def made(stage, *arguments):
    """The identifier of what ipcmk made."""
    log = "ipcmk " + " ".join(arguments)
    stage.run("ipcmk", *arguments, log=log)
    return re.search(r"id: (\d+)", text(stage.path(log))).group(1)


def abandoned(stage):
    size = str(stage.keeper.size)
    closed, wide = made(stage, "-M", size), made(stage, "-M", size, "-p", "0666")
    seen = stage.look()
    keys = {one["key"].split(":")[1]: one for one in seen.objects("sysvshm")}
    for number in (closed, wide):
        found = [one for kind in (ORPHAN, LEFTOVER) for one in seen.found(kind, keys[number]["key"])]
        stage.check("memory that nobody attaches is told once, as others may know its key", "orphan" in keys[number]["flags"] and
                    [(one["kind"], one["certainty"]) for one in found] == [(LEFTOVER, "inferred")], found)
    stage.check("what everybody may write to is told", "world_writable" in keys[wide]["flags"] and
                len(seen.found(WORLD_WRITABLE, keys[wide]["key"])) == 1)
    stage.check("what only its owner may write to is not", "world_writable" not in keys[closed]["flags"] and
                not seen.found(WORLD_WRITABLE, keys[closed]["key"]))
    for flag, numbers in (("--orphan", {closed, wide}), ("--world-writable", {wide})):
        listed = stage.look("ls", flag, "--kind", "sysvshm")
        listed = {one["key"].split(":")[1] for one in listed.all} & {closed, wide}
        stage.check("tong ls %s has them" % flag, listed == numbers, listed)


def play(stage):
    locked(stage)
    if os.path.exists("/proc/sysvipc/shm"):
        abandoned(stage)
    else:
        stage.report.skip("what ipcmk makes", "this kernel has no System V IPC")


perform(play, "flock", "ipcmk")
