"""Apache Kafka in KRaft mode: broker and controller in one Java process, from the jars that ``pom.xml`` names."""

from __future__ import annotations

import base64
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from deploy.local.ports import LOOPBACK, answers
from deploy.local.server import Server
from deploy.local.steps import INSTALLED, digest, run, step
from deploy.local.system import java, maven

_POM = Path(__file__).with_name("pom.xml")
_INSTALLED = INSTALLED / "kafka"
_JARS = _INSTALLED / "jars"
_ARCHIVE = _INSTALLED / "classes.jsa"
_USE_ARCHIVE = f"-XX:SharedArchiveFile={_ARCHIVE}"

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{client}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller}
log.dirs={data}
# One broker holds every replica, those of Kafka's own topics too.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Fifty partitions each, the default, only make the first join and the first transaction slow.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
# A group of one or two members need not wait three seconds for others.
group.initial.rebalance.delay.ms=0
# Lets a fault test see a killed member expelled within seconds.
group.min.session.timeout.ms=1000
# A broker that was killed may come back only when its old session has run out (default: 9 s).
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
# Events may carry their photos inline (default: 1 MB).
message.max.bytes=16777216
# As in production: a mistyped topic is an error, not a new topic of one partition.
auto.create.topics.enable=false
"""

_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = STDOUT
appender.stdout.type = Console
appender.stdout.name = STDOUT
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{ISO8601} %-5p %m (%c)%n
# Prints every one of its settings at each start.
logger.config.name = org.apache.kafka.common.config
logger.config.level = WARN
"""


class KafkaServer(Server):
    """One Kafka broker.

    Parameters:
        directory: its own folder.
        class_data: the JVM's option for archived classes; they halve the time to start.
    """

    name: ClassVar[str] = "kafka"
    port_names: ClassVar[tuple[str, ...]] = ("client", "controller")

    def __init__(self, directory: Path, *, class_data: str = _USE_ARCHIVE) -> None:
        super().__init__(directory)
        self._class_data = class_data

    @property
    def bootstrap(self) -> str:
        """The ``bootstrap.servers`` of clients."""
        return f"{LOOPBACK}:{self.ports['client']}"

    def settings(self) -> dict[str, str]:
        return {"COLOUR_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap}

    def install(self) -> None:
        java()
        with step(_INSTALLED / ".stamp", digest(_POM, Path(__file__))) as due:
            if due:
                shutil.rmtree(_JARS, ignore_errors=True)
                run(
                    "fetch Apache Kafka from Maven Central",
                    [maven(), "-q", "-B", "-f", _POM, "dependency:copy-dependencies", "-DincludeScope=runtime",
                     f"-DoutputDirectory={_JARS}"],
                )  # fmt: skip
                _archive_classes()

    def prepare(self) -> None:
        properties = _PROPERTIES.format(host=LOOPBACK, data=self.data, **self.ports)
        self._properties.write_text(properties + self.more_properties())
        self._logging.write_text(_LOGGING)
        if not (self.data / "meta.properties").exists():
            # Given below in one word with its option: it may begin with "-".
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            run(
                "format Kafka's data folder",
                [
                    *self._java(),
                    _USE_ARCHIVE,
                    "kafka.tools.StorageTool",
                    "format",
                    f"--cluster-id={cluster}",
                    "-c",
                    self._properties,
                    *self.format_options(),
                ],
                timeout=120,
            )

    def more_properties(self) -> str:
        """More of ``server.properties``; a line for a key that is there already replaces it."""
        return ""

    def format_options(self) -> list[str]:
        """More options of ``StorageTool format``, such as ``--add-scram``."""
        return []

    def command(self) -> list[str]:
        return [*self._java(), self._class_data, "kafka.Kafka", str(self._properties)]

    def is_ready(self) -> bool:
        if not self.ports or not answers(self.ports["client"]):
            return False
        try:
            with self._admin() as admin:
                return len(admin.describe_cluster()["brokers"]) == 1
        except KafkaError:
            return False

    def create_topics(
        self, topics: Iterable[str], *, partitions: int = 4, configs: Mapping[str, str] | None = None
    ) -> None:
        """Create the topics that do not exist yet, and wait until each has its leaders.

        Parameters:
            topics: names; one that exists is left as it is.
            partitions: of each new topic.
            configs: topic configuration, as ``{"cleanup.policy": "compact"}``.
        """
        wanted = list(topics)
        with self._admin() as admin:
            for topic in wanted:
                try:
                    admin.create_topics(
                        [
                            NewTopic(
                                topic,
                                num_partitions=partitions,
                                replication_factor=1,
                                topic_configs=dict(configs or {}),
                            )
                        ]
                    )
                except TopicAlreadyExistsError:
                    continue
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                described = admin.describe_topics(wanted)
                if all(
                    topic["error_code"] == 0
                    and topic["partitions"]
                    and all(partition["leader_id"] >= 0 for partition in topic["partitions"])
                    for topic in described
                ):
                    return
                time.sleep(0.05)
        raise TimeoutError(f"no leaders within 10 s for the topics {', '.join(wanted)}")

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _logging(self) -> Path:
        return self.directory / "log4j2.properties"

    def _java(self) -> list[str]:
        return [
            java(), "-Xmx512m", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true",
            # A broker that lives for minutes spends more on the second compiler than it gains.
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={self._logging}", "-cp", f"{_JARS}/*",
        ]  # fmt: skip

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, client_id="local-stack", request_timeout_ms=5000)
        try:
            yield admin
        finally:
            admin.close()


def _archive_classes() -> None:
    """Run a broker once and let the JVM write down the classes that it has loaded (JEP 350).

    An archive that does not fit, after an update of Java, is passed over by the JVM.
    """
    _ARCHIVE.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=_INSTALLED) as directory:
        server = KafkaServer(Path(directory), class_data=f"-XX:ArchiveClassesAtExit={_ARCHIVE}")
        server.start()
        server.create_topics(["any"])
        server.stop(patience=120)
