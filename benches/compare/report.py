"""From samples to the table that `run` prints and the document that it writes."""

import statistics

STEAL_LIMIT = 0.01
FOREIGN_LIMIT = 0.05
# Below this share of its CPU a proxy was not the limit: the generator or the backend was.
SATURATED = 0.90
LOGGED_LIMIT = 0.99


def summarise(names, samples, figure, baselines):
    """Per proxy: median, smallest and largest of the figure, and ratios taken within each round."""
    rounds = {}
    for sample in samples:
        rounds.setdefault(sample["round"], {})[sample["proxy"]] = sample
    summary = {}
    for name in names:
        own = [by_proxy[name] for by_proxy in rounds.values()]
        summary[name] = {
            figure: _spread([sample[figure] for sample in own]),
            **{other: statistics.median(sample[other] for sample in own)
               for other in ("requests_per_second", "cpu_busy") if other in own[0]},
            # Memory that did not grow is no base for a ratio.
            "ratio_to": {
                base: _spread([by[name][figure] / by[base][figure] for by in rounds.values()])
                for base in baselines if all(by[base][figure] > 0 for by in rounds.values())
            },
        }
    return summary


def _spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def table(summary, scenario, baselines):
    """The summary as aligned text."""
    loaded = scenario.generator != "idle"
    head = ["proxy", scenario.heading, "min..max", *([f"{scenario.unit}s/s", "CPU busy"] if loaded else [])]
    for base in baselines:
        head += [f"x {base}", "min..max"]
    rows = [head]
    for name, figures in summary.items():
        cost = figures[scenario.figure]
        row = [name, f"{cost['median']:.2f}", f"{cost['min']:.2f}..{cost['max']:.2f}"]
        if loaded:
            row += [f"{figures['requests_per_second']:.0f}", f"{figures['cpu_busy']:.0%}"]
        for base in baselines:
            ratio = figures["ratio_to"].get(base)
            row += [f"{ratio['median']:.3f}", f"{ratio['min']:.2f}..{ratio['max']:.2f}"] if ratio else ["-", "-"]
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        first, *others = (cell.ljust(width) if i == 0 else cell.rjust(width)
                          for i, (cell, width) in enumerate(zip(row, widths)))
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def beside_peers(summary, peers):
    """One line: the ratios of ravelin to each peer; empty if one of them is not there."""
    ratios = summary.get("ravelin", {}).get("ratio_to", {})
    parts = [f"{peer} {ratios[peer]['median']:.3f} ({ratios[peer]['min']:.2f}..{ratios[peer]['max']:.2f})"
             for peer in peers if peer in ratios]
    return f"ravelin / peer: {', '.join(parts)}" if parts else ""


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
