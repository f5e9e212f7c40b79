"""Measurements of CPU time: rounds over all proxies, with the generator that the scenario has."""

import time

import load
from cpu_time import CpuReading, MachineReading, ProcessLost

WARM_UP_SECONDS = 1
# The last connections of a round are closed in this time, so that it belongs to the round.
SETTLE_SECONDS = 0.05


def start(launcher, name, programs):
    """Starts one proxy. `programs`: the binaries of those that are not found by their names."""
    if name in ("envoy", "traefik"):
        return getattr(launcher, name)(programs[name])
    if name in programs:
        return launcher.ravelin(name, programs[name])
    return getattr(launcher, name)()


def in_turn(servers, round_number):
    """A-B-C and C-B-A in turn."""
    return servers if round_number % 2 else servers[::-1]


def measure(server, generator, options, proxy_cpu):
    """One measurement of one proxy. Raises LoadFailed or ProcessLost."""
    cpu_before, machine_before = CpuReading(server.session), MachineReading()
    began = time.monotonic_ns()
    totals = generator.generate(server.port, options.seconds, options.connections)
    wall_ns = time.monotonic_ns() - began
    machine_after = MachineReading()
    time.sleep(SETTLE_SECONDS)
    cpu_ns = CpuReading(server.session).since(cpu_before)
    busy_ns = machine_after.busy_ns_since(machine_before, proxy_cpu)
    return {
        "proxy": server.name,
        "requests": totals["requests"],
        "requests_per_second": totals["requests"] / (totals["duration_us"] / 1e6),
        generator.scenario.figure: cpu_ns / 1000 / totals["requests"],
        "cpu_busy": cpu_ns / wall_ns,
        "foreign": max(0.0, (busy_ns - cpu_ns) / wall_ns),
        "steal": machine_after.steal_since(machine_before),
        "p50_us": totals["p50_us"],
        "p99_us": totals["p99_us"],
    }


def measure_rounds(servers, generator, options, proxy_cpu, answered):
    """All rounds. `answered` counts requests per proxy, warm-up included."""
    for server in servers:
        totals = generator.generate(server.port, WARM_UP_SECONDS, options.connections)
        answered[server.name] = totals["requests"]
        server.empty_access_log()
    samples = []
    for round_number in range(1, options.rounds + 1):
        for server in in_turn(servers, round_number):
            try:
                sample = measure(server, generator, options, proxy_cpu)
            except (load.LoadFailed, ProcessLost) as error:
                message = f"{server.name}, round {round_number}: {error}\n{server.last_output()}"
                raise load.LoadFailed(message) from error
            samples.append({"round": round_number, **sample})
            answered[server.name] += sample["requests"]
            server.empty_access_log()
            _print_sample(sample, generator.scenario, f"{round_number}/{options.rounds}")
    return samples


def _print_sample(sample, scenario, round_text):
    print(f"  round {round_text}  {sample['proxy']:<12} "
          f"{sample[scenario.figure]:7.2f} us/{scenario.unit}  "
          f"{sample['requests_per_second']:8.0f} {scenario.unit}s/s  busy {sample['cpu_busy']:4.0%}  "
          f"steal {sample['steal']:.1%}  others {sample['foreign']:.1%}", flush=True)
