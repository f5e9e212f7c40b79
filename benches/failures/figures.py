"""From requests and counters to a table."""

# Below this share of all requests a pod is left out; above the other it is back: half of a third.
LEFT_OUT, BACK = 0.02, 1 / 6
# Further windows that have to say the same.
LASTING = 1


def percentile(values, hundredth):
    """In milliseconds; None without values."""
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * hundredth // 100)] * 1000 if values else None


def share(window, bad):
    tried = window[2]
    return tried[bad] / sum(tried) if sum(tried) else 0.0


def share_between(windows, bad, begin, end):
    """The bad pod's share of all that was tried, over the windows that lie within."""
    within = [window for window in windows if begin <= window[0] and window[1] <= end]
    tried = sum(sum(window[2]) for window in within)
    return sum(window[2][bad] for window in within) / tried if tried else 0.0


def first(windows, bad, begin, end, is_so):
    """Seconds from `begin` to the end of the first window that is so, and so are those behind it."""
    within = [window for window in windows if begin <= window[0] and window[1] <= end]
    for at in range(len(within) - LASTING):
        if all(is_so(share(window, bad)) for window in within[at : at + LASTING + 1]):
            return within[at][1] - begin
    return None


def latencies(records, begin, end):
    """Of the open loop, those that were given up included."""
    return [record.took for record in records if record.loop == "open" and begin <= record.due < end]


def errors(records, method):
    """How many had no answer 200, and of how many."""
    of_method = [record for record in records if record.method == method]
    return sum(record.status != 200 for record in of_method), len(of_method)


def of_cell(case, name, records, windows, bad, span):
    began, ended = span
    last = windows[-1][1]
    during = [record for record in records if began <= record.due < ended]
    after = [record for record in records if record.due >= ended]
    took = latencies(records, began, ended)
    return {
        "case": case,
        "proxy": name,
        "requests": len(during),
        "share": share_between(windows, bad, began, ended),
        "p50_ms": percentile(took, 50),
        "p99_ms": percentile(took, 99),
        "max_ms": percentile(took, 100),
        "get_errors": errors(during, "GET"),
        "post_errors": errors(during, "POST"),
        "errors_after": sum(record.status != 200 for record in after),
        "notice_s": first(windows, bad, began, ended, lambda value: value < LEFT_OUT),
        "recover_s": first(windows, bad, ended, last, lambda value: value > BACK),
        "watched_s": (ended - began, last - ended),
    }


def seconds(value, watched):
    return f"{value:.1f}" if value is not None else f"> {watched:.0f}"


def table(cells, cases):
    """Markdown: a row for each cell."""
    lines = [
        "| the bad pod | proxy | its share | p50 ms | p99 ms | max ms | GET failed | POST failed | failed after "
        "| noticed after s | back after s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        case = cell["case"]
        healthy = case == "none"
        noticed, back = (seconds(cell[key], watched)
                         for key, watched in zip(("notice_s", "recover_s"), cell["watched_s"]))
        lines.append(
            f"| {case}: {cases[case]} | {cell['proxy']} | {cell['share']:.1%} | {cell['p50_ms']:.1f} | "
            f"{cell['p99_ms']:.0f} | {cell['max_ms']:.0f} | {failed(cell['get_errors'])} | "
            f"{failed(cell['post_errors'])} | {cell['errors_after']} | {'' if healthy else noticed} | "
            f"{'' if healthy else back} |"
        )
    return "\n".join(lines)


def failed(pair):
    count, of = pair
    return f"{count} of {of}"
