"""The parts of Grafana's dashboards (10 and newer) that dashboards.py is made of.

A panel is its kind, title, queries, unit, and a description for somebody who is woken by an alert. Places, ids, colours,
thresholds and links are made here, so that all panels look alike: green, orange and red mean well, look soon and look
now; blue is a quantity that is neither good nor bad.
"""

PAGE = "https://github.com/OWNER/ravelin/blob/main/deploy/monitoring/runbook.md"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
I = 'instance=~"$instance"'
H = I + ',host=~"$host"'
RATE = "[$__rate_interval]"
# Worst last: the background of a stat is the one of its value.
GOOD, SOON, NOW, NEUTRAL = "green", "orange", "red", "blue"


def steps(first, *rest):
    """Thresholds: the first colour from minus infinity, then pairs of value and colour."""
    return {"mode": "absolute", "steps": [{"color": first, "value": None}]
            + [{"color": color, "value": value} for value, color in rest]}


BAD_ABOVE_0 = steps(GOOD, (0.000001, NOW))
SOON_ABOVE_0 = steps(GOOD, (0.000001, SOON))
PLAIN = steps(NEUTRAL)
RATIO = steps(NOW, (0.99, SOON), (0.999, GOOD))
SHARE_USED = steps(GOOD, (0.7, SOON), (0.9, NOW))
DAYS_LEFT = steps(NOW, (3, SOON), (14, GOOD))


def override(name, **properties):
    """Properties of the field with this name, as `custom.width` with `__` for the dot."""
    listed = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": listed}


def fixed(name, color):
    return override(name, color={"mode": "fixed", "fixedColor": color})


STATUS = [fixed("2xx", GOOD), fixed("3xx", NEUTRAL), fixed("4xx", "yellow"), fixed("5xx", NOW), fixed("1xx", "text")]
QUANTILES = [fixed("p50", "light-blue"), fixed("p95", NEUTRAL), fixed("p99", "purple")]
RESULTS = [fixed(name, GOOD) for name in ("ok", "passed", "sent", "reused", "near")] + [fixed("failed", NOW)]


def panel(kind, title, queries, unit, about, *, alerts=(), thresholds=PLAIN, overrides=(), width=12, height=8, options=None,
          custom=None, transformations=(), mappings=(), decimals=None, empty="none", instant=False, color=None):
    """One panel. `queries` is an expression, or expressions by legend; `alerts` are those whose runbook it links to."""
    queries = queries if isinstance(queries, dict) else {"": queries}
    targets = [{"refId": chr(ord("A") + number), "datasource": SOURCE, "editorMode": "code", "expr": expression,
                "legendFormat": legend or "__auto", "range": not instant, "instant": instant,
                "format": "table" if kind == "table" else "time_series"}
               for number, (legend, expression) in enumerate(queries.items())]
    defaults = {"unit": unit, "thresholds": thresholds, "color": color or {"mode": "thresholds"}, "mappings": list(mappings),
                "noValue": empty, "custom": custom or {}}
    if decimals is not None:
        defaults["decimals"] = decimals
    made = {"type": kind, "title": title, "description": about, "datasource": SOURCE, "targets": targets,
            "fieldConfig": {"defaults": defaults, "overrides": list(overrides)}, "options": options or {},
            "gridPos": {"w": width, "h": height},
            "links": [{"title": f"Runbook: {alert}", "url": f"{PAGE}#{alert.lower()}", "targetBlank": True}
                      for alert in alerts]}
    if transformations:
        made["transformations"] = list(transformations)
    return made


def stat(title, query, unit, about, *, width=4, height=4, at=None, **more):
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "graphMode": "area",
               "colorMode": "background" if more.get("thresholds", PLAIN) is not PLAIN else "value", "textMode": "value",
               "justifyMode": "center", "orientation": "auto"}
    made = panel("stat", title, query, unit, about, width=width, height=height, options=options, **more)
    if at:
        made["gridPos"] |= {"x": at[0], "y": at[1]}
    return made


def lines(title, queries, unit, about, *, stacked=False, **more):
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 60 if stacked else 8, "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"}, "axisSoftMin": 0,
              "thresholdsStyle": {"mode": "off"}}
    options = {"tooltip": {"mode": "multi", "sort": "desc"},
               "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True}}
    return panel("timeseries", title, queries, unit, about, custom=custom, options=options,
                 color=more.pop("color", {"mode": "palette-classic"}), **more)


def shades(color):
    return {"mode": "shades", "fixedColor": color}


def table(title, columns, about, *, sort=None, hidden=(), **more):
    """A table by labels, with a column for each query: name to (expression, unit, thresholds or None)."""
    queries = {name: expression for name, (expression, _, _) in columns.items()}
    renamed = {f"Value #{chr(ord('A') + number)}" if len(columns) > 1 else "Value": name
               for number, name in enumerate(columns)}
    overrides = []
    for name, (_, unit, thresholds) in columns.items():
        look = {"unit": unit, "custom__align": "right"}
        if thresholds:
            look |= {"thresholds": thresholds, "custom__cellOptions": {"type": "color-text"}}
        overrides.append(override(name, **look))
    organize = {"id": "organize", "options": {"excludeByName": {"Time": True, **{name: True for name in hidden}},
                                              "renameByName": renamed}}
    options = {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": sort or next(iter(columns)), "desc": True}]}
    return panel("table", title, queries, "short", about, instant=True, options=options, overrides=overrides,
                 transformations=[{"id": "merge", "options": {}}, organize], decimals=2, **more)


def states(title, query, legend, names, about, **more):
    """What state something was in over time: names are (text, colour), from 0."""
    mappings = [{"type": "value", "options": {str(number): {"text": text, "color": color, "index": number}
                                              for number, (text, color) in enumerate(names)}}]
    return panel("state-timeline", title, {legend: query}, "short", about, mappings=mappings,
                 custom={"fillOpacity": 80, "lineWidth": 0}, options={"mergeValues": True, "showValue": "auto", "rowHeight": 0.8,
                                                                      "legend": {"showLegend": False}}, **more)


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}


def rate(metric, by, labels=I, window=RATE):
    return f"sum by ({by}) (rate({metric}{{{labels}}}{window}))" if by else f"sum(rate({metric}{{{labels}}}{window}))"


def total(metric, labels=I, window=RATE):
    """Of all series, and 0 without one: a counter by route begins with its first request."""
    return f"{rate(metric, '', labels, window)} or vector(0)"


def quantiles(metric, labels=I):
    return {f"p{number}": f"histogram_quantile({number / 100}, {rate(metric + '_bucket', 'le', labels)})" for number in (50, 95, 99)}


def success(by, labels=H, window=RATE):
    """The share of requests that were not answered 5xx; nothing without requests."""
    failed = rate("ravelin_requests_total", by, labels + ',status="5xx"', window)
    every = rate("ravelin_requests_total", by, labels, window)
    zero = f"{every} * 0" if by else "vector(0)"
    return f"1 - ({failed} or {zero}) / ({every} > 0)"


def variable(name, label, query):
    return {"type": "query", "name": name, "label": label, "datasource": SOURCE, "definition": query, "refresh": 2, "sort": 1,
            "query": {"query": query, "refId": "variable"}, "multi": True, "includeAll": True, "allValue": ".*",
            "current": {"text": "All", "value": "$__all"}, "regex": "", "hide": 0}


VARIABLES = {
    "instance": ("Node", "label_values(ravelin_snapshot_generation, instance)"),
    "host": ("Host", "label_values(ravelin_requests_total, host)"),
    "service": ("Service", "label_values(ravelin_endpoints, service)"),
}


def place(panels):
    """Gives panels ids, and places from left to right and down: a new line where the next one does not fit."""
    x = y = line = 0
    for number, made in enumerate(panels, 1):
        grid = made["gridPos"]
        if "x" not in grid:
            if x + grid["w"] > 24:
                x, y, line = 0, y + line, 0
            grid |= {"x": x, "y": y}
            x, line = x + grid["w"], max(line, grid["h"])
        else:
            # Placed by hand: what follows goes below it.
            x, y, line = 24, max(y, 0), max(line, grid["y"] + grid["h"] - y)
        made["id"] = number
    return panels


def dashboard(uid, title, about, variables, panels):
    source = {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1, "regex": "",
              "hide": 0, "current": {}, "multi": False, "includeAll": False}
    fired = {"name": "Alerts", "enable": True, "iconColor": NOW, "datasource": SOURCE, "titleFormat": "{{alertname}}",
             "textFormat": "{{instance}} {{host}} {{service}}", "step": "60s", "hide": False,
             "expr": 'ALERTS{alertname=~"Ravelin.+",alertstate="firing"}'}
    links = [{"type": "dashboards", "title": "ravelin", "tags": ["ravelin"], "asDropdown": False, "includeVars": True,
              "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""},
             {"type": "link", "title": "Runbook", "url": PAGE, "targetBlank": True, "icon": "doc", "tooltip": "What to do for each alert",
              "tags": [], "asDropdown": False, "includeVars": False, "keepTime": False}]
    return {"uid": uid, "title": title, "description": about, "tags": ["ravelin"], "schemaVersion": 39, "version": 1, "editable": True,
            "graphTooltip": 1, "timezone": "", "refresh": "30s", "time": {"from": "now-3h", "to": "now"}, "id": None,
            "annotations": {"list": [fired]}, "links": links,
            "templating": {"list": [source] + [variable(name, *VARIABLES[name]) for name in variables]}, "panels": place(panels)}
