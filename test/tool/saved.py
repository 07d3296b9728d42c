# SPDX-License-Identifier: MIT
"""Rounds as `tong bench --json` writes them, made up, so that what is shown of them is known."""
import json

METRICS = ("time_ns", "p99_ns", "p99.9_ns", "p99.99_ns", "cpu_ns", "ratio_to_limit", "ratio_to_raw")
CONDITIONS = {"machine": "a test's", "kernel": "Linux", "processors": 2, "load": 0, "load_after": 0, "line_ns": 100,
              "line_low_ns": 68, "line_high_ns": 200, "line_changes": 1, "seconds": 60, "runs": 5, "absent": None}


def figure(median, spread=1):
    return {"median": median, "least": median, "most": median * spread, "runs": 5}


def result(name, time=None, cpu=None, group="tong", scheme=None, missing=None, spread=1, **more):
    given = {"time_ns": time and figure(time, spread), "cpu_ns": cpu and figure(cpu)}
    given.update({key: figure(value) for key, value in more.items()})
    return {"group": group, "name": name, "scheme": scheme or (name.split()[0].rstrip(",") if group == "tong" else None),
            **{metric: given.get(metric) for metric in METRICS}, "samples": 5000, "line_ns": figure(100), "repeated": 0,
            "unsettled": 0, "void": 0, "missing": missing}


def work(key, results, test="one-way", size=64, senders=1, receivers=1):
    return {"key": key, "title": "The work %s" % key, "test": test, "size": size, "senders": senders,
            "receivers": receivers, "results": results}


def round_of(works):
    return {"conditions": CONDITIONS, "works": works, "files": [], "overtaken": []}


def save(path, works):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(round_of(works), file)
    return path
