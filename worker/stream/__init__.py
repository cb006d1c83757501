"""Kafka: batches in, transactions out. The only room of the worker that knows of it."""
