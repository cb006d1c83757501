"""Quix Streams: a StreamingDataFrame that applies the job to each event and writes to the output topic."""

from __future__ import annotations

from quixstreams import Application

from tests.benchmarks.peers.job import Job, place


def main() -> None:
    """Run until killed."""
    app = Application(
        broker_address=place("KAFKA"),
        consumer_group=place("GROUP"),
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel="WARNING",
    )
    source = app.topic(place("SOURCE"), value_deserializer="json")
    target = app.topic(place("TARGET"), value_serializer="bytes")
    job = Job()
    stream = app.dataframe(source)
    stream = stream.apply(job)
    stream.to_topic(target)
    app.run()


if __name__ == "__main__":
    main()
