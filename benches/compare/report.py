"""From samples to the table that `run` prints and the document that it writes."""

import statistics

STEAL_LIMIT = 0.01
FOREIGN_LIMIT = 0.05
# Below this share of its CPU a proxy was not the limit: the generator or the backend was.
SATURATED = 0.90
LOGGED_LIMIT = 0.99


def summarise(names, samples, baselines):
    """Per proxy: median, smallest and largest of each figure, and ratios taken within each round."""
    rounds = {}
    for sample in samples:
        rounds.setdefault(sample["round"], {})[sample["proxy"]] = sample
    summary = {}
    for name in names:
        own = [by_proxy[name] for by_proxy in rounds.values()]
        costs = [sample["cpu_us_per_request"] for sample in own]
        summary[name] = {
            "cpu_us_per_request": {"median": statistics.median(costs), "min": min(costs), "max": max(costs)},
            "requests_per_second": statistics.median(sample["requests_per_second"] for sample in own),
            "cpu_busy": statistics.median(sample["cpu_busy"] for sample in own),
            "ratio_to": {
                base: _ratio([(by[name], by[base]) for by in rounds.values()]) for base in baselines
            },
        }
    return summary


def _ratio(pairs):
    ratios = [own["cpu_us_per_request"] / base["cpu_us_per_request"] for own, base in pairs]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def table(summary, baselines):
    """The summary as aligned text."""
    head = ["proxy", "us CPU/request", "min..max", "requests/s", "CPU busy"]
    for base in baselines:
        head += [f"x {base}", "min..max"]
    rows = [head]
    for name, figures in summary.items():
        cost = figures["cpu_us_per_request"]
        row = [
            name,
            f"{cost['median']:.2f}",
            f"{cost['min']:.2f}..{cost['max']:.2f}",
            f"{figures['requests_per_second']:.0f}",
            f"{figures['cpu_busy']:.0%}",
        ]
        for base in baselines:
            ratio = figures["ratio_to"][base]
            row += [f"{ratio['median']:.3f}", f"{ratio['min']:.2f}..{ratio['max']:.2f}"]
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        first, *others = (cell.ljust(width) if i == 0 else cell.rjust(width)
                          for i, (cell, width) in enumerate(zip(row, widths)))
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def warnings(samples, summary, logged):
    """What makes the figures doubtful. `logged`: per proxy, log lines divided by answered requests."""
    found = []
    steal = max(sample["steal"] for sample in samples)
    if steal > STEAL_LIMIT:
        found.append(f"steal time reached {steal:.1%} (limit {STEAL_LIMIT:.0%}): run again on a quieter host")
    foreign = [sample for sample in samples if sample["foreign"] > FOREIGN_LIMIT]
    if foreign:
        worst = max(sample["foreign"] for sample in foreign)
        found.append(
            f"other processes used the proxies' CPU in {len(foreign)} of {len(samples)} measurements, "
            f"up to {worst:.0%} of it"
        )
    for name, figures in summary.items():
        if figures["cpu_busy"] < SATURATED:
            found.append(
                f"{name} used {figures['cpu_busy']:.0%} of its CPU: the generator, the backend or another "
                "process was the limit, and a proxy that is not saturated batches less"
            )
    for name, share in logged.items():
        if share < LOGGED_LIMIT:
            found.append(f"{name} logged only {share:.1%} of its requests")
    return found
