"""The pod of the same node first: what it gains, and what it costs when that pod is full."""

import json
import sys

import figures
import lab

# Of the one near; the others take as long, and 20 ms more on the way.
WORKERS, WORK, FAR = 2, "10ms", "20ms"
# Requests a second, of an open loop: it can answer 200 by itself.
LOADS = {"half of what it can": 100, "twice what it can": 400}
PREFERENCES = {"none": "", "same-node": '"ravelin.dev/prefer": same-node'}
# Answers are learnt of before the figures count.
SETTLING_SECONDS, SECONDS = 2, 10


def same_node(options, programs):
    cells = []
    for load, rate in LOADS.items():
        for preference, annotation in PREFERENCES.items():
            cells.append({"load": load, "preference": preference, **measure(options, programs, rate, annotation)})
            print(f"  {json.dumps(cells[-1])}", file=sys.stderr, flush=True)
    print("| load of the pod near | prefer | share of it | p50 ms | p99 ms | failed |\n|---|---|---|---|---|---|")
    for cell in cells:
        print(f"| {cell['load']} | {cell['preference']} | {cell['share']:.1%} | {cell['p50_ms']:.1f} | "
              f"{cell['p99_ms']:.1f} | {cell['failed']} of {cell['requests']} |")
    return cells


def measure(options, programs, rate, annotation):
    near = ["-work", WORK, "-workers", WORKERS]
    far = ["-work", WORK, "-far", FAR]
    pods = [lab.Pod(programs["pod"], number, *(far if number else near)) for number in range(len(lab.IPS))]
    proxy = None
    try:
        proxy = lab.Proxy("ravelin", programs["ravelin"], annotation, {"NODE_NAME": "node-1"})
        proxy.wait_until_ready(programs["load"])
        records = lab.run_load(programs["load"], SETTLING_SECONDS + SECONDS, closed=0, rate=rate)
    finally:
        if proxy:
            proxy.stop()
        for pod in pods:
            pod.stop()
    begin = min(record.due for record in records) + SETTLING_SECONDS
    counted = [record for record in records if record.due >= begin]
    took = figures.latencies(counted, begin, float("inf"))
    return {
        "requests": len(counted),
        "failed": sum(record.status != 200 for record in counted),
        "share": sum(record.word == "pod-1" for record in counted) / len(counted),
        "p50_ms": figures.percentile(took, 50),
        "p99_ms": figures.percentile(took, 99),
    }
