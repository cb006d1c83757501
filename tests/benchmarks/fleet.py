"""Workers of one deployment, and how far they are: what their group has committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from tests.benchmarks import events
from tests.benchmarks.arithmetic import Sample
from tests.support.worker_process import Deployment, WorkerProcess

_LOOK_SECONDS = 0.05


class Fleet:
    """The workers.

    Parameters:
        deployment: topics, group and servers.
        partitions: of the topic of new listings.
    """

    def __init__(self, deployment: Deployment, partitions: int) -> None:
        self.deployment = deployment
        self.workers: list[WorkerProcess] = []
        self._partitions = [TopicPartition(deployment.created, number) for number in range(partitions)]
        self._admin: Any = KafkaAdminClient(bootstrap_servers=deployment.bootstrap, client_id="benchmark")

    def start(self, count: int = 1) -> list[WorkerProcess]:
        """Start so many more, and wait until they are ready."""
        started = [self.deployment.worker() for _ in range(count)]
        self.workers += started
        for worker in started:
            worker.wait_ready(60)
        return started

    def publish(self, listings: Sequence[dict[str, Any]]) -> int:
        """Publish listings to the deployment's topic; how many."""
        return events.publish(self.deployment.bootstrap, self.deployment.created, listings)

    def publish_spread(self, listings: Sequence[dict[str, Any]]) -> int:
        """As ``publish``, the same number to each partition, whatever their keys say."""
        return events.publish(
            self.deployment.bootstrap, self.deployment.created, listings, partitions=len(self._partitions)
        )

    def committed(self, group: str | None = None) -> int:
        """Records that the group has answered: the sum of its committed offsets."""
        name = group or self.deployment.name
        found = self._admin.list_group_offsets({name: self._partitions})[name]
        return sum(max(0, entry.offset) for entry in found.values() if entry is not None)

    def watch(self, until: int, *, group: str | None = None, timeout: float = 150) -> list[Sample]:
        """Look again and again until ``until`` records are answered.

        Raises:
            TimeoutError: they were not, in time.
        """
        return watch(lambda: self.committed(group), until, timeout=timeout)

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.kill()
        self._admin.close()


def watch(count: Callable[[], int], until: int, *, timeout: float) -> list[Sample]:
    """Samples of ``count`` until it reaches ``until``. Raises ``TimeoutError`` where it does not, in time."""
    samples: list[Sample] = []
    deadline = time.monotonic() + timeout
    while True:
        done = count()
        now = time.monotonic()
        samples.append((now, done))
        if done >= until:
            return samples
        if now > deadline:
            raise TimeoutError(f"{done} of {until} events were answered within {timeout:.0f} s")
        time.sleep(_LOOK_SECONDS)
