"""Connections that are not renewed, for a producer that must not outlive a crash of Kafka."""

from __future__ import annotations

import threading
from typing import Any

from kafka.errors import NodeNotReadyError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector


class UnbrokenClient(KafkaNetClient):  # type: ignore[misc]  # kafka-python is untyped
    """kafka-python's client, which says when it lost a connection, and then makes no other.

    Given to a producer as ``kafka_client``. kafka-python sends a request again for as long as it takes, over as many
    connections as it takes. When Kafka crashes right behind a commit and comes back without that transaction's markers
    (``worker.stream.hanging``), the requests of the NEXT transaction, sent again, put its records into the one that
    hangs; and if this one is then aborted, so is what had been committed. A producer that has lost a connection must
    therefore send nothing more: the next one looks first how the last transaction ended.

    Parameters:
        lost: is set when a connection that was in use is gone, whoever closed it.
    """

    def __init__(self, lost: threading.Event, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        super().__init__(net=net, manager=_Manager(lost, net, **configs))


class _Manager(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python is untyped
    """Connects to each broker at most once, and to none when one connection is lost."""

    def __init__(self, lost: threading.Event, net: Any, **configs: Any) -> None:
        super().__init__(net, **configs)
        self._lost = lost
        self._used: set[Any] = set()

    def get_connection(self, node_id: Any, *arguments: Any, **options: Any) -> Any:
        """The connection to a broker.

        Raises:
            NodeNotReadyError: it was lost, or another was.
        """
        if node_id in self._conns or self.cluster.is_bootstrap(node_id):
            return super().get_connection(node_id, *arguments, **options)
        if node_id in self._used:  # the notice of its end may still be on its way through the other thread
            self._lost.set()
        if self._lost.is_set():
            raise NodeNotReadyError(node_id)
        connection = super().get_connection(node_id, *arguments, **options)
        connection.init_future.add_callback(lambda _: self._used.add(node_id))
        connection.close_future.add_both(lambda _: self._closed(node_id))
        return connection

    def _closed(self, node_id: Any) -> None:
        if node_id in self._used:  # else it was never made: as long as nothing was sent, it may be tried again
            self._lost.set()
