# SPDX-License-Identifier: MIT
"""pipeline.py TONG ROOT: programs in pipelines of two shells, one that waits, and one whose reader was stopped."""
import os
import signal

from stage import STOPPED, children, perform, text


def named(stage, shell, *names):
    """The shell's children with these names, in this order."""
    def find():
        found = {text("/proc/%d/comm" % pid).strip(): pid for pid in children(shell.pid)}
        return all(name in found for name in names) and [found[name] for name in names]
    return stage.until("%s of the pipeline" % (names,), find)


def pipes_between(seen, one, other):
    return [thing for thing in seen.objects("pipe") if one in seen.at(thing) and other in seen.at(thing)]


def check_pipe(stage, seen, shell, one, other):
    """A pipe that leads from one to the other, and to nobody else."""
    found = pipes_between(seen, one, other)
    name = "%s and %s: " % (seen.by_pid[one]["name"], seen.by_pid[other]["name"])
    stage.check(name + "one pipe", len(found) == 1, found)
    stage.check(name + "in the right direction, the shell not at it", found and shell.pid not in seen.at(found[0]) and
                seen.at(found[0], "sends") == {one} and seen.at(found[0], "receives") == {other}, found)
    return found[0]


def waiting(stage):
    shell = stage.start("sh", "-c", "tail -f log | cat; true")
    producer, consumer = named(stage, shell, "tail", "cat")
    seen = stage.settled({producer, consumer}, "the pipe", lambda seen: pipes_between(seen, producer, consumer))
    check_pipe(stage, seen, shell, producer, consumer)
    stage.check_nobody_stuck(seen, {shell.pid, producer, consumer})
    mapped = stage.look("map", str(producer))
    stage.check("the map has this pipe", len(pipes_between(mapped, producer, consumer)) == 1)
    stage.check_shown("as an arrow", r"^  --> pipe +\[\d+\]  cat/%d$" % consumer, "map", str(producer))


def three(stage):
    shell = stage.start("bash", "-c", "tail -f log | sed -u s/a/b/ | cat; true")
    stages = named(stage, shell, "tail", "sed", "cat")
    seen = stage.settled(set(stages), "the pipes", lambda seen: pipes_between(seen, *stages[:2]) and
                         pipes_between(seen, *stages[1:]))
    for one, other in zip(stages, stages[1:]):
        check_pipe(stage, seen, shell, one, other)
    stage.check("the first and the last have none together", not pipes_between(seen, stages[0], stages[2]))
    stage.check_nobody_stuck(seen, {shell.pid, *stages})


def full(stage):
    shell = stage.start("sh", "-c", "yes | cat >/dev/null; true")
    producer, consumer = named(stage, shell, "yes", "cat")
    os.kill(consumer, signal.SIGSTOP)

    def filled(seen):
        return any("full" in one["flags"] for one in pipes_between(seen, producer, consumer))
    seen = stage.settled({producer, consumer}, "a full pipe", filled)
    pipe = check_pipe(stage, seen, shell, producer, consumer)
    stage.check("it is as full as can be", pipe["depth"] == pipe["capacity"], pipe)
    stage.check("the reader is stopped", seen.by_pid[consumer]["stopped"])
    stage.check_nobody_stuck(seen, {shell.pid, producer, consumer})
    told = [one for one in seen.findings if one["object"] == pipe["index"]]
    stage.check("the doctor says at most that it waits for who is stopped", [one["kind"] for one in told]
                in ([], [STOPPED]), told)
    stage.check_shown("the list shows it", r"^pipe +\[%s\] +\S+ full +yes/%d -> cat/%d$" %
                      (pipe["key"], producer, consumer), "ls", "--full", "--kind", "pipe")
    listed = stage.look("ls", "--full", "--kind", "pipe")
    stage.check("the list of full pipes has it", pipe["key"] in [one["key"] for one in listed.all])
    os.kill(consumer, signal.SIGCONT)

    def moves(seen):
        return not any("full" in one["flags"] for one in pipes_between(seen, producer, consumer))
    stage.settled({producer, consumer}, "room in the pipe once the reader goes on", moves)


def play(stage):
    waiting(stage)
    three(stage)
    full(stage)


perform(play, "sh", "bash", "tail", "sed", "yes", "cat")
