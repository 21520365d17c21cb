"""How long a training step takes on p processes, by a model of the network between them: a latency and a bandwidth.

A message of n bytes takes latency + n / bandwidth. On p processes, with G bytes of gradients in b buckets, a step sends

    the gradients   2 b (p - 1) messages of each process, one after the other, and 2 G (p - 1) / p bytes
    small numbers   the loss, the flags, and for every BatchNorm two gathers of 2 D numbers from each process: log2(p) latencies
                    and (p - 1) times these bytes

and computes  T (u + (1 - u) share)  seconds. T is what one process takes for the whole batch, `share` the largest part of it
that a process has, and u the part of T that does not become less with the share, such as the optimiser's update.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..distributed.buckets import BUCKET


@dataclass(frozen=True)
class Network:
    """A network between machines: latency in seconds, bandwidth in bytes a second."""

    name: str
    latency: float
    bandwidth: float


NETWORKS = (Network("Ethernet, 10 Gbit/s", 30e-6, 1.1e9), Network("InfiniBand, 200 Gbit/s", 2e-6, 22e9))
PROCESSES = (2, 8, 64, 512)
ASSUMPTIONS = (
    "each process has a machine of its own, which computes as fast as one process does here on a CPU that it has for itself",
    f"latency and bandwidth of {NETWORKS[0].name}: 30 us, 1.1 GB/s; of {NETWORKS[1].name}: 2 us, 22 GB/s",
    "no two messages disturb each other, and all processes compute equally fast",
    "with nothing hidden, the gradients are sent after the backward pass; with all that can be hidden, during two thirds of the "
    "computing",
    "the batch of the paper, divided: its size stays, and more processes than examples bring nothing",
    "a batch for each process: the whole batch grows with the number of processes",
)


@dataclass(frozen=True)
class Step:
    """A training step on one process.

    Parameters
    ----------
    seconds : float;  unshared : float, the part of the seconds that does not become less with the share
    batch : int, examples;  gradient_bytes : int
    gathers : int, gathers of small numbers;  gathered_bytes : int, of each process in all of them together
    """

    seconds: float
    unshared: float
    batch: int
    gradient_bytes: int
    gathers: int = 2
    gathered_bytes: int = 16

    def computing(self, p: int) -> float:
        """Seconds of computing with the batch divided among p processes."""
        share = math.ceil(self.batch / p) / self.batch
        return self.seconds * (self.unshared + (1 - self.unshared) * share)

    def summing(self, p: int, network: Network) -> float:
        """Seconds of sending gradients."""
        messages = 2 * math.ceil(self.gradient_bytes / BUCKET) * (p - 1)
        return messages * network.latency + 2 * self.gradient_bytes * (p - 1) / p / network.bandwidth

    def gathering(self, p: int, network: Network) -> float:
        """Seconds of gathering small numbers, which all processes wait for."""
        return self.gathers * math.log2(p) * network.latency + self.gathered_bytes * (p - 1) / network.bandwidth

    def on(self, p: int, network: Network, divided: bool, hidden: bool) -> float:
        """Seconds of a step on p processes, with the batch `divided` or one for each, and the sums `hidden` or not."""
        computing = self.computing(p) if divided else self.seconds
        summing = self.summing(p, network)
        if hidden:
            summing = max(0.0, summing - computing * 2 / 3)
        return computing + summing + self.gathering(p, network)

    def efficiency(self, p: int, network: Network, divided: bool, hidden: bool) -> float:
        """The examples a second of p processes, divided by p times those of one.

        Examples
        --------
        >>> step = Step(seconds=1.0, unshared=0.0, batch=64, gradient_bytes=0, gathers=0, gathered_bytes=0)
        >>> [step.efficiency(p, NETWORKS[0], divided=True, hidden=False) for p in (1, 64, 128)]
        [1.0, 1.0, 0.5]
        """
        seconds = self.on(p, network, divided, hidden)
        return self.seconds / (p * seconds if divided else seconds)


def carried_on(step: Step) -> list[dict[str, Any]]:
    """The model's seconds and efficiencies for every network and number of processes."""
    rows = []
    for network in NETWORKS:
        for divided in (True, False):
            for p in PROCESSES:
                row: dict[str, Any] = {"network": network.name, "divided": divided, "processes": p}
                for hidden in (False, True):
                    name = "hidden" if hidden else "not_hidden"
                    row[f"seconds_{name}"] = step.on(p, network, divided, hidden)
                    row[f"efficiency_{name}"] = step.efficiency(p, network, divided, hidden)
                rows.append(row)
    return rows
