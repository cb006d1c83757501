"""Kafka: batches in, transactions out. The only room of the worker that knows of it."""

from worker.stream import header_names

header_names.install()
