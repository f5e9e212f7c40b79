// The status page: polls the JSON and puts every text in as text.
"use strict";

const API = "/api/v1/";
const PERIOD = 5000;
const LIMIT = 50;

const byId = (id) => document.getElementById(id);

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = String(text);
  if (kind) made.className = kind;
  return made;
}

const badge = (text, kind) => element("span", text, "badge " + (kind || ""));

// A text with a smaller one below it.
function both(text, below) {
  const made = element("div", text);
  if (below) made.append(element("small", below));
  return made;
}

async function ask(name, parameters) {
  const query = new URLSearchParams(parameters || {});
  const text = query.toString();
  const response = await fetch(API + name + (text ? "?" + text : ""), { cache: "no-store" });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || "status " + response.status);
  return answer;
}

// Fills the table of a section: each row is a list of texts or elements.
function fill(section, rows, none) {
  const body = section.querySelector("tbody");
  const heads = [...section.querySelectorAll("th")];
  const made = rows.map((cells) => {
    const row = element("tr");
    cells.forEach((cell, at) => {
      const field = element("td", undefined, heads[at].className);
      field.dataset.label = heads[at].textContent;
      if (cell instanceof Node) field.append(cell);
      else if (cell === undefined || cell === null || cell === "") field.classList.add("none");
      else field.append(element("div", cell));
      row.append(field);
    });
    return row;
  });
  if (made.length === 0) {
    const field = element("td", none, "empty");
    field.colSpan = heads.length;
    const row = element("tr");
    row.append(field);
    made.push(row);
  }
  body.replaceChildren(...made);
}

function count(section, text) {
  section.querySelector("h2 small").textContent = text;
}

const plural = (number, one, many) => number + " " + (number === 1 ? one : many);

function routeRow(route) {
  const kinds = { ok: "good", redirect: "", external: "" };
  const state = route.status ? route.status + " " + route.state : route.state;
  const kind = kinds[route.state] ?? "bad";
  const pods = route.state === "ok" ? plural(route.endpoints, "pod", "pods") : "";
  const out = route.ejected ? ", " + route.ejected + " ejected" : "";
  const to = route.redirect ? "redirect to " + route.redirect : route.service;
  const below = [route.protocol, pods + out].filter(Boolean).join(", ");
  const host = both(route.host, route.https_only ? "HTTPS only" : "");
  return [
    badge(state, route.ejected ? "warn" : kind),
    host,
    both(route.path, route.kind),
    both(to, route.redirect ? "" : below),
    (route.middlewares || []).join(", "),
    both(route.object, route.field),
  ];
}

function certificateRow(row) {
  const refused = row.cloudflare_answers;
  const soon = row.verdict === "expires_soon" || (row.days_left !== undefined && row.days_left < 14);
  const kind = refused ? "bad" : soon ? "warn" : row.verdict ? "good" : "";
  const verdict = row.verdict || "not judged";
  return [
    badge(refused ? verdict + " (" + refused + ")" : verdict, kind),
    both(row.host, row.others ? "others get " + row.others : ""),
    row.days_left,
    row.not_after,
  ];
}

function findingRow(finding) {
  const kinds = { error: "bad", warning: "warn" };
  return [
    badge(finding.severity, kinds[finding.severity]),
    finding.object,
    finding.field,
    both(finding.text, finding.reason),
    finding.fix,
  ];
}

function podRows(service) {
  const problem = service.broken || (service.endpoints.length === 0 ? "no endpoints" : "");
  if (problem) return [[badge(problem, "bad"), service.service, "", "", "", ""]];
  const rows = service.endpoints.map((pod) => {
    const kind = pod.failing ? "bad" : pod.state === "ready" ? "good" : "warn";
    const latency = pod.latency_ms === undefined ? "" : pod.latency_ms.toFixed(1) + " ms";
    const state = pod.failing ? "ejected" : pod.state;
    return [badge(state, kind), service.service, pod.address, pod.node, pod.in_flight, latency];
  });
  if (service.more) rows.push(["", service.service, "and " + service.more + " more", "", "", ""]);
  return rows;
}

// Counts of the poll before, by host, route and service.
let before = { at: 0, counts: new Map() };
let rates = new Map();

function measure(rows) {
  const at = performance.now();
  const seconds = (at - before.at) / 1000;
  const counts = new Map();
  const now = new Map();
  for (const row of rows) {
    const key = JSON.stringify([row.host, row.route, row.service]);
    const failed = row.statuses["5xx"] || 0;
    counts.set(key, { total: row.total, failed });
    const old = before.counts.get(key);
    // A count that went down is of another process.
    if (old && row.total >= old.total) {
      now.set(key, { all: (row.total - old.total) / seconds, failed: (failed - old.failed) / seconds });
    }
  }
  before = { at, counts };
  rates = now;
}

function rate(value) {
  return value === undefined ? "…" : value.toFixed(value < 10 ? 2 : 0);
}

function requestRow(row) {
  const seen = rates.get(JSON.stringify([row.host, row.route, row.service])) || {};
  return [row.host, row.route, row.service, rate(seen.all), rate(seen.failed), row.total];
}

function failureRow(row) {
  const attempts = row.attempts > 1 ? ", " + row.attempts + " attempts" : "";
  const pod = row.endpoint && both(row.endpoint, row.duration_ms.toFixed(1) + " ms" + attempts);
  const why = both(row.reason || "of the pod", row.meaning + " " + row.fix);
  return [
    badge(row.status, row.status < 500 && row.caused_by === "client" ? "warn" : "bad"),
    both(row.time.replace("T", " "), row.ray),
    both(row.method + " " + row.host, row.path),
    why,
    row.route,
    pod,
  ];
}

// Lists with a search and a button for more. What is shown is asked for anew at each poll, in parts.
const MOST_PARTS = 10;
const lists = {
  findings: { row: (item) => [findingRow(item)], none: "Everything is served as written." },
  routes: { row: (item) => [routeRow(item)], none: "No route." },
  requests: { row: (item) => [requestRow(item)], none: "No request yet.", before: measure },
  failures: { row: (item) => [failureRow(item)], none: "No request has failed." },
  certificates: { row: (item) => [certificateRow(item)], none: "No host is served with TLS." },
  pods: { row: podRows, none: "No Service." },
};

async function poll(name) {
  const list = lists[name];
  const section = byId(name);
  const search = section.querySelector("input").value.trim();
  let items = [];
  let answer;
  let after = 0;
  do {
    const parameters = { after, limit: LIMIT };
    if (search) parameters.q = search;
    answer = await ask(name, parameters);
    items = items.concat(answer.items);
    after = answer.next;
  } while (after !== undefined && items.length < list.wanted);
  if (list.before) list.before(items);
  fill(section, items.flatMap(list.row), search ? "Nothing matches." : list.none);
  const shown = items.length < answer.total ? items.length + " of " : "";
  count(section, shown + answer.total);
  const more = section.querySelector("button");
  more.hidden = after === undefined || list.wanted >= LIMIT * MOST_PARTS;
  if (name === "certificates") failing(answer);
}

function failing(answer) {
  const files = answer.failing_files.map((file) => "file " + file);
  const secrets = Object.keys(answer.failing_secrets).map((secret) => "Secret " + secret);
  const all = files.concat(secrets);
  if (all.length > 0) {
    const section = byId("certificates");
    section.querySelector("h2 small").textContent += ", cannot be used: " + all.join(", ");
  }
}

const MODES = { kernel: "good", trap: "good", user_space: "warn", off: "bad" };

async function pollGate() {
  const answer = await ask("gate");
  const section = byId("gate");
  const list = answer.cloudflare;
  const ranges = list.ipv4_ranges + list.ipv6_ranges;
  const failed = list.failing ? ", refresh failing: " + list.failing : "";
  count(section, "Cloudflare's list: " + ranges + " ranges, from " + list.origin + failed);
  const rows = answer.ports.map((port) => {
    const reset = Object.entries(port.refused).map(([why, number]) => why + " " + number);
    const sets = port.sets.map((set) => set.name + " (" + (set.ipv4_ranges + set.ipv6_ranges) + ")");
    return [
      both(port.name, port.protocol + " " + port.address),
      badge(port.mode, MODES[port.mode]),
      port.dropped_packets,
      reset.join(", "),
      port.open,
      port.admits_any ? "every address" : sets.join(", "),
    ];
  });
  fill(section, rows, "No port.");
}

let requestsBefore;

async function pollStatus() {
  const answer = await ask("status");
  byId("version").textContent = answer.version;
  const state = byId("state");
  state.textContent = answer.ready ? "ready" : "not ready";
  state.className = "badge " + (answer.ready ? "good" : "bad");
  const notes = [answer.not_ready, answer.notes].filter(Boolean).join("\n").trim();
  byId("notes").textContent = notes;
  byId("notes").hidden = notes === "";
  const total = Object.values(answer.requests).reduce((sum, number) => sum + number, 0);
  const at = performance.now();
  const last = requestsBefore;
  requestsBefore = { total, at };
  const per = last && total >= last.total ? (total - last.total) / ((at - last.at) / 1000) : undefined;
  const numbers = [
    ["Requests per second", rate(per)],
    ["Requests", total],
    ["5xx", answer.requests["5xx"]],
    ["Open connections", answer.connections_open],
    ["Routes", answer.routes],
    ["Hosts", answer.hosts],
    ["Errors", answer.findings.error],
    ["Warnings", answer.findings.warning],
    ["Table generation", answer.generation],
  ];
  byId("numbers").replaceChildren(...numbers.map(([name, value]) => {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }));
}

function lost(error) {
  const state = byId("state");
  state.textContent = "no answer: " + error.message;
  state.className = "badge bad";
}

let polling = false;

async function pollAll() {
  if (polling || document.hidden) return;
  polling = true;
  try {
    // One after the other: the process makes a few answers at a time, for all who ask.
    await pollStatus();
    for (const name of Object.keys(lists)) await poll(name);
    await pollGate();
    document.documentElement.dataset.polled = String(Number(document.documentElement.dataset.polled || 0) + 1);
  } catch (error) {
    lost(error);
  } finally {
    polling = false;
  }
}

function listen(name) {
  const section = byId(name);
  const list = lists[name];
  list.wanted = LIMIT;
  let timer;
  section.querySelector("input").addEventListener("input", () => {
    clearTimeout(timer);
    list.wanted = LIMIT;
    timer = setTimeout(() => poll(name).catch(lost), 250);
  });
  section.querySelector("button").addEventListener("click", () => {
    list.wanted += LIMIT;
    poll(name).catch(lost);
  });
}

function explained(answer) {
  const route = answer.route;
  const lines = [
    ["Answer", badge(answer.answer, answer.answer === "forwarded" ? "good" : "bad")],
    ["Why", answer.note],
    ["Listener", answer.listener],
    ["Admission", answer.admission],
    ["Client", answer.client],
    ["Certificate", answer.certificate],
    ["Others get", answer.certificate_others],
    ["Full (strict)", answer.full_strict],
    ["Matched", answer.host && answer.host + (answer.path || "")],
    ["Route", route && [route.kind, route.host, route.path, "of", route.object, route.field].join(" ")],
    ["Service", route && route.service],
    ...(answer.proofs || []).map((proof) => ["Proof of zone", proof.text]),
    ...(answer.middlewares || []).map((step) => [step.middleware, step.kind + ": " + step.effect]),
    ["Endpoints", (answer.endpoints || []).join(" ")],
  ];
  const shown = lines.filter(([, value]) => value);
  return shown.flatMap(([name, value]) => {
    const field = element("dd");
    field.append(value instanceof Node ? value : element("span", value));
    return [element("dt", name), field];
  });
}

async function explain(event) {
  event.preventDefault();
  const place = byId("explanation");
  const fields = new FormData(event.target);
  try {
    const answer = await ask("explain", [...fields].filter(([, value]) => value !== ""));
    place.replaceChildren(...explained(answer));
  } catch (error) {
    place.replaceChildren(element("dt", "Error"), element("dd", error.message));
  }
  place.hidden = false;
}

Object.keys(lists).forEach(listen);
byId("explain").querySelector("form").addEventListener("submit", explain);
document.addEventListener("visibilitychange", pollAll);
setInterval(pollAll, PERIOD);
pollAll();
