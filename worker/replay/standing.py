"""How far a replay is, over all its processes: what its group has committed."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from kafka.admin import KafkaAdminClient

from worker.errors import ConfigurationError
from worker.replay.plan import Plan, group
from worker.replay.tally import Tally
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Standing:
    """One look at the group.

    Parameters:
        offsets: of the ranges that are behind us.
        of: that the ranges span.
        complete: every range was read to its end, and every answer is committed.
        tally: what became of the records, over all partitions, processes and resumes.
    """

    offsets: int
    of: int
    complete: bool
    tally: Tally


class Watch:
    """Looks at the replay's committed offsets; a context manager.

    Parameters:
        plan: whose group it looks at.
    """

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self._plan = plan
        self._group = group(settings, plan.id)
        self._admin: Any = KafkaAdminClient(
            **settings.kafka.client(), client_id="colour-worker-replay-watch", bootstrap_timeout_ms=15_000
        )

    def look(self) -> Standing:
        """The present standing.

        Raises:
            ConfigurationError: the group's offsets are gone.
            KafkaError: Kafka does not answer.
        """
        ends = self._plan.ends
        found = self._admin.list_group_offsets({self._group: list(ends)})[self._group]
        tally, done, complete = Tally(), 0, True
        for r, (partition, end) in zip(self._plan.ranges, ends.items(), strict=True):
            committed = found.get(partition)
            if committed is None or committed.offset < 0:
                raise ConfigurationError(
                    f"replay {self._plan.id}: Kafka holds no offset of group {self._group} any more (it forgets those "
                    "of an idle group after offsets.retention.minutes, 7 days by default); begin a new replay with "
                    "--from where this one's outputs end"
                )
            tally += Tally.decode(committed.metadata)
            done += min(committed.offset, end) - r.start
            complete = complete and committed.offset >= end
        return Standing(done, self._plan.offsets, complete, tally)

    def close(self) -> None:
        """Close the connection."""
        self._admin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
