"""The worker against servers that let in only who may: TLS, passwords from files, client certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaServer
from deploy.local.redis import RedisServer
from deploy.local.server import Server
from deploy.local.triton import TritonServer
from tests.conftest import require
from tests.support import events
from tests.support.fixtures import Workers
from tests.support.reading import Answers, Reader
from tests.support.secured import Certificates, SecuredKafka, SecuredRedis, SecuredTriton

Make = Callable[..., Workers]
PASSWORD = "wet-paint-7f3a9c"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, a server's and a client's certificate."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@contextmanager
def running(server: Server) -> Iterator[None]:
    """A server for one test."""
    require(server)
    server.start()
    try:
        yield
    finally:
        server.stop()


def secret_files(folder: Path, **secrets: str) -> str:
    """A folder of secrets, as Docker and Kubernetes mount them; with the line's end that an editor leaves."""
    folder.mkdir()
    for name, value in secrets.items():
        (folder / name).write_text(f"{value}\n")
    return str(folder)


def tag_one(workers: Workers, bootstrap: str) -> Answers:
    """Let a worker tag one event."""
    deployment = workers.deployment
    workers.start()
    with Reader(bootstrap, deployment.coloured, deployment.dead) as reader:
        return reader.all_of(
            events.publish(bootstrap, deployment.created, [events.listing("one", events.inline(events.photo()))])
        )


def logs(workers: Workers) -> str:
    """All that the workers said."""
    return "\n".join(worker.log.read_text() for worker in workers.started)


def test_kafka_over_tls_with_a_scram_password(
    redis: RedisServer, standin: TritonServer, make_workers: Make, certificates: Certificates, tmp_path: Path
) -> None:
    kafka = SecuredKafka(tmp_path / "kafka", certificates=certificates, password=PASSWORD)
    with running(kafka):
        secrets = secret_files(tmp_path / "secrets", COLOUR_KAFKA__SASL_PASSWORD=PASSWORD)
        workers = make_workers(kafka, redis, standin, COLOUR_SECRETS_DIR=secrets)
        answers = tag_one(workers, kafka.bootstrap)
        assert [answer["colour"] for answer in answers.coloured] == ["red"]
        assert PASSWORD not in logs(workers)

        wrong = secret_files(tmp_path / "wrong", COLOUR_KAFKA__SASL_PASSWORD="guessed-1234")
        intruders = make_workers(kafka, redis, standin, COLOUR_SECRETS_DIR=wrong)
        with pytest.raises(RuntimeError, match="ended with 3"):
            intruders.start()
        assert "guessed-1234" not in logs(intruders)

        strangers = make_workers(kafka, redis, standin, COLOUR_SECRETS_DIR=secrets, COLOUR_KAFKA__CA_FILE="")
        with pytest.raises(RuntimeError, match="ended with"):
            strangers.start()


def test_redis_over_tls_with_a_user_of_few_rights(
    kafka: KafkaServer, standin: TritonServer, make_workers: Make, certificates: Certificates, tmp_path: Path
) -> None:
    redis = SecuredRedis(tmp_path / "redis", certificates=certificates, password=PASSWORD)
    with running(redis):
        secrets = secret_files(tmp_path / "secrets", COLOUR_REDIS__PASSWORD=PASSWORD)
        # A busy machine's first TLS handshake may take longer than a cache is given: the worker would go on without it.
        workers = make_workers(kafka, redis, standin, COLOUR_SECRETS_DIR=secrets, COLOUR_REDIS__TIMEOUT="5")
        answers = tag_one(workers, kafka.bootstrap)
        assert [answer["colour"] for answer in answers.coloured] == ["red"]
        with redis.operator() as operator:
            assert len(operator.keys("colour:*")) == 2  # a photo and a text
        said = logs(workers)
        assert "cache_away" not in said
        assert PASSWORD not in said


def test_triton_over_tls_with_certificates_on_both_sides(
    kafka: KafkaServer, redis: RedisServer, make_workers: Make, certificates: Certificates, tmp_path: Path
) -> None:
    triton = SecuredTriton(tmp_path / "triton", certificates=certificates)
    with running(triton):
        answers = tag_one(make_workers(kafka, redis, triton), kafka.bootstrap)
        assert [answer["colour"] for answer in answers.coloured] == ["red"]

        stranger = make_workers(
            kafka, redis, triton, COLOUR_TRITON__CERTIFICATE_FILE="", COLOUR_TRITON__KEY_FILE=""
        ).start(ready=False)
        with pytest.raises(TimeoutError):
            stranger.wait_ready(timeout=8)
