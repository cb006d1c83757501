"""The local stack itself, with its real servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import redis.exceptions
import tritonclient.grpc
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from redis import Redis

from deploy.local import LocalStack, StackError, StartFailed
from deploy.local.identity import ProcessIdentity
from deploy.local.kafka import KafkaServer
from deploy.local.photos import PhotoServer
from deploy.local.redis import RedisServer
from deploy.local.steps import REPOSITORY, step
from deploy.local.triton import TritonServer


@pytest.fixture
def own_redis(redis: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test alone: the quickest server to start and to stop."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
def own_triton(triton_installed: None, tiny_models: Path, tmp_path: Path) -> Iterator[TritonServer]:
    """A Triton of this test alone that serves one small model."""
    server = TritonServer(tmp_path / "triton", repository=tiny_models, models=["double"])
    yield server
    server.stop()


def processes_below(directory: Path) -> list[int]:
    """Every process that works in or was started with a path below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes().decode(errors="replace") + str((entry / "cwd").readlink())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended meanwhile, or is another user's
        if str(directory) in told and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def double(server: TritonServer, value: float) -> float:
    with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
        x = tritonclient.grpc.InferInput("x", [1, 1], "FP32")
        x.set_data_from_numpy(np.full((1, 1), value, dtype=np.float32))
        return float(client.infer("double", [x]).as_numpy("y")[0, 0])


@pytest.mark.faults
def test_kafka_keeps_records_and_port_over_kill_9(kafka: KafkaServer, make_topic: Callable[..., str]) -> None:
    """What was acknowledged before ``kill -9`` is read after the restart, at the same address."""
    topic = make_topic(partitions=1)
    before = kafka.bootstrap
    producer = KafkaProducer(bootstrap_servers=before, acks="all")
    for number in range(100):
        producer.send(topic, value=str(number).encode())
    producer.flush()
    producer.close()

    kafka.kill()
    assert not kafka.is_ready()
    kafka.start()

    assert kafka.bootstrap == before
    consumer = KafkaConsumer(bootstrap_servers=before, auto_offset_reset="earliest", consumer_timeout_ms=10_000)
    consumer.assign([TopicPartition(topic, 0)])
    values = [int(record.value) for record, _ in zip(consumer, range(100), strict=False)]
    consumer.close()
    assert values == list(range(100))


def test_create_topics_again_changes_nothing(kafka: KafkaServer, unique: str) -> None:
    """Making a topic that exists is no error, and leaves its partitions alone."""
    kafka.create_topics([unique], partitions=3)
    kafka.create_topics([unique], partitions=5)
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap)
    partitions = consumer.partitions_for_topic(unique)
    consumer.close()
    assert partitions == {0, 1, 2}


def test_triton_answers_and_comes_back_after_kill_9(own_triton: TritonServer) -> None:
    """A killed Triton leaves neither processes nor shared memory, and answers on the same port when started again."""
    own_triton.start()
    assert double(own_triton, 21.0) == 42.0
    address = own_triton.grpc

    own_triton.kill()
    assert not own_triton.is_ready()
    assert processes_below(own_triton.directory) == []
    assert list(Path("/dev/shm").glob(f"colour_triton_{own_triton.ports['grpc']}_*")) == []

    own_triton.start()
    assert own_triton.grpc == address
    assert double(own_triton, 4.0) == 8.0


def test_triton_names_a_missing_model(triton_installed: None, tiny_models: Path, tmp_path: Path) -> None:
    """A repository without the wanted model is refused before the server starts."""
    server = TritonServer(tmp_path / "triton", repository=tiny_models, models=["colour_head"])
    with pytest.raises(StackError, match="holds no model colour_head"):
        server.start()


def test_triton_that_cannot_load_tells_why(own_triton: TritonServer) -> None:
    """A model that fails to load ends the start, with the model's own error in the message."""
    (own_triton.repository / "double" / "1" / "model.py").write_text("raise RuntimeError('no such weights')\n")
    with pytest.raises(StartFailed, match="no such weights"):
        own_triton.start()
    assert not own_triton.running


def test_photos_are_served_and_cacheable(photos: PhotoServer) -> None:
    """A file put into the folder is served; what is not there is a 404."""
    (photos.folder / "one.jpg").write_bytes(b"\xff\xd8 not really")
    import urllib.error
    import urllib.request

    with urllib.request.urlopen(f"{photos.url}/one.jpg") as response:
        assert response.read() == b"\xff\xd8 not really"
        assert response.headers["Content-Type"] == "image/jpeg"
        assert "immutable" in response.headers["Cache-Control"]
    with pytest.raises(urllib.error.HTTPError, match="404") as missing:
        urllib.request.urlopen(f"{photos.url}/two.jpg")
    missing.value.close()


def test_paused_server_keeps_its_port_and_is_not_ready(own_redis: RedisServer) -> None:
    """SIGSTOP: connections are accepted by the kernel, nothing answers, and all is well after SIGCONT."""
    own_redis.start()
    own_redis.pause()
    assert own_redis.running
    assert not own_redis.is_ready()
    own_redis.resume()
    assert own_redis.is_ready()


def test_paused_server_can_be_stopped(own_redis: RedisServer) -> None:
    """A process that sleeps by SIGSTOP is woken, so that SIGTERM ends it and nothing has to be killed."""
    own_redis.start()
    own_redis.pause()
    began = time.monotonic()
    own_redis.stop()
    assert time.monotonic() - began < own_redis.stop_seconds
    assert "ready to exit, bye bye" in own_redis.log.read_text()


def test_redis_remembers_over_stop_and_forgets_over_kill(own_redis: RedisServer) -> None:
    """The cache survives an orderly stop, and only that."""
    own_redis.start()
    with Redis.from_url(own_redis.url) as client:
        client.set("kept", 1)
    own_redis.restart()
    with Redis.from_url(own_redis.url) as client:
        assert client.get("kept") == b"1"
        client.set("lost", 1)
    own_redis.kill()
    own_redis.start()
    with Redis.from_url(own_redis.url) as client:
        assert client.get("kept") == b"1"
        assert client.get("lost") is None


def test_port_taken_by_another_is_named(own_redis: RedisServer, tmp_path: Path) -> None:
    """A server whose port somebody else has taken meanwhile does not move away in silence."""
    own_redis.start()
    other = RedisServer(tmp_path / "other")
    other.ports = dict(own_redis.ports)
    with pytest.raises(StartFailed, match=str(own_redis.ports["client"])):
        other.start()


def test_pid_of_somebody_else_is_never_signalled(own_redis: RedisServer) -> None:
    """A pid that the kernel has given to another process since is not ours: nothing is stopped."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        now = ProcessIdentity.of(stranger.pid)
        assert now is not None
        earlier = ProcessIdentity(pid=now.pid, started=now.started - 100, boot=now.boot)
        assert not earlier.alive
        assert not earlier.signal_group(signal.SIGKILL)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_another_process_finds_uses_and_stops_the_servers(redis: RedisServer, tmp_path: Path) -> None:
    """``stack up`` in one process and ``down`` in another: same server, then no process at all."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.local.cli", *arguments, "--directory", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
            timeout=60,
        )

    up = command("up", "redis", "photos")
    assert up.returncode == 0, up.stderr
    try:
        with LocalStack(tmp_path, components=("redis", "photos")) as stack:
            assert stack.is_ready()
            assert f"export COLOUR_REDIS__URL={stack.redis.url}" in up.stdout
            identity = stack.redis.identity
        # The block did not start them, so it did not stop them.
        assert identity is not None
        assert identity.alive
    finally:
        down = command("down")
    assert down.stdout.strip() == "Stopped redis, photos."
    assert ProcessIdentity.of(identity.pid) != identity
    assert processes_below(tmp_path) == []


def test_failed_start_leaves_nothing_running(redis: RedisServer, tiny_models: Path, tmp_path: Path) -> None:
    """When one server of a stack cannot start, the others are stopped again."""
    stack = LocalStack(tmp_path, components=("redis", "triton"), model_repository=tiny_models, models=["nonsense"])
    with pytest.raises(StackError, match="holds no model nonsense"):
        stack.start()
    assert processes_below(tmp_path) == []


def test_whole_stack_starts_in_parallel_and_leaves_nothing(
    stack: LocalStack, kafka: KafkaServer, own_triton: TritonServer, tiny_models: Path, tmp_path: Path
) -> None:
    """All four from nothing to ready at the same time, and gone after the block."""
    with LocalStack(tmp_path / "stack", model_repository=tiny_models, models=["double"]) as own:
        assert own.is_ready()
        uptimes = [server.identity.uptime for server in own.servers if server.identity]
        assert len(uptimes) == 4
        with Redis.from_url(own.redis.url) as client:
            assert client.ping()
    with pytest.raises(redis.exceptions.ConnectionError), Redis.from_url(own.redis.url) as client:
        client.ping()
    assert processes_below(tmp_path / "stack") == []


def test_step_runs_once_for_the_same_inputs(tmp_path: Path) -> None:
    """A stamp makes the second run do nothing, other inputs repeat the step, and a failure leaves no stamp."""
    done = []

    def attempt(inputs: str, *, fails: bool = False) -> None:
        with step(tmp_path / "stamp", inputs) as due:
            if due:
                done.append(inputs)
                if fails:
                    raise RuntimeError("cut off")

    attempt("a")
    attempt("a")
    with pytest.raises(RuntimeError):
        attempt("b", fails=True)
    attempt("b")
    assert done == ["a", "b", "b"]
