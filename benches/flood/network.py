"""The network of the benchmark: namespaces with virtual interfaces, joined to nothing else."""

import pathlib
import subprocess

from proxies import SetUpFailed, pin_to

NODE = "198.51.100.1"
SINK = "198.51.100.2"
LISTED = "104.16.0.10"
STRANGER = "203.0.113.10"
# Sources of the SYN flood (RFC 2544).
FLOOD = "198.18.0.0/15"
# One for both ends of a pair: without ARP a packet never waits for a neighbour.
MAC = "02:00:00:00:00:01"
# A host with another one drops the packets as soon as it sees them.
OTHER_MAC = "02:00:00:00:00:02"
START_SECONDS = 10


class Namespace:
    """A network namespace, and one of mounts for its /sys. Ends with this process."""

    def __init__(self, cpu):
        # Standard input ends with this process, and `cat` with that.
        self._holder = subprocess.Popen(
            ["unshare", "-n", "-m", "sh", "-c", "mount -t sysfs sysfs /sys && ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=pin_to(cpu),
        )
        if self._holder.stdout.readline() != "up\n":
            raise SetUpFailed(f"no namespace (this needs root): {self._holder.stderr.read().strip()}")
        self.pid = self._holder.pid

    def within(self, *command):
        """The words that run a command here."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", *[str(word) for word in command]]

    def run(self, script):
        """Runs a shell script here; raises SetUpFailed."""
        result = subprocess.run(self.within("sh", "-e", "-c", script), capture_output=True, text=True,
                                timeout=START_SECONDS)
        if result.returncode != 0:
            raise SetUpFailed(f"{result.stderr.strip()}\nin: {script}")
        return result.stdout

    def stop(self):
        self._holder.stdin.close()
        self._holder.wait()


class Network:
    """A node, a peer on Cloudflare's list, a stranger, and a sink: a host that looks at nothing.

    What the listed peer sends to the node is received on `node_cpu`, what the stranger sends on
    `flood_cpu`, and what arrives elsewhere on `load_cpu`, as interrupts of a network card would be:
    by itself a virtual interface receives on the CPU of the sender.
    """

    def __init__(self, node_cpu, load_cpu, flood_cpu):
        self._namespaces = []
        self.node, self.listed, self.stranger, self.sink = (self._namespace(load_cpu) for _ in range(4))
        self._join(self.node, node_cpu, self.listed, load_cpu, "listed", LISTED)
        self._join(self.node, flood_cpu, self.stranger, load_cpu, "stranger", STRANGER)
        self._join(self.sink, None, self.stranger, load_cpu, "sink", STRANGER, OTHER_MAC)
        self.node.run(f"ip address add {NODE}/32 dev lo; ip route add {FLOOD} dev stranger")
        # What comes back for the sources of the flood ends here.
        self.stranger.run(f"ip route add blackhole {FLOOD}")
        for target, interface in ((NODE, "to-stranger"), (SINK, "to-sink")):
            self.stranger.run(f"ip route add {target}/32 dev {interface}")
        self.listed.run(f"ip route add {NODE}/32 dev to-listed")

    def _namespace(self, cpu):
        self._namespaces.append(Namespace(cpu))
        return self._namespaces[-1]

    def _join(self, host, host_cpu, peer, peer_cpu, name, address, host_mac=MAC):
        host.run(
            f"ip link add name {name} address {host_mac} type veth"
            f" peer name to-{name} address {MAC} netns {peer.pid}\n"
            f"ip link set dev {name} arp off addrgenmode none\nip link set dev {name} up\n"
            f"ip route add {address}/32 dev {name}\n{_receive_on(host_cpu, name)}"
        )
        peer.run(
            f"ip link set dev to-{name} arp off addrgenmode none\nip link set dev to-{name} up\n"
            f"ip address add {address}/32 dev to-{name}\n{_receive_on(peer_cpu, f'to-{name}')}"
        )

    def stop(self):
        for namespace in self._namespaces:
            namespace.stop()


def _receive_on(cpu, interface):
    """Receive packet steering (Documentation/networking/scaling.rst): a mask of CPUs."""
    if cpu is None:
        return ""
    return f"echo {1 << cpu:x} > /sys/class/net/{interface}/queues/rx-0/rps_cpus\n"


def has_steering():
    return pathlib.Path("/sys/class/net/lo/queues/rx-0/rps_cpus").exists()
