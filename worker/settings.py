"""Settings, from the environment: one small object per neighbour, with defaults that run on a laptop.

Every field is an environment variable ``COLOUR_<GROUP>__<FIELD>``, for example ``COLOUR_KAFKA__BOOTSTRAP_SERVERS``.
Secrets can also come from files in the folder named by ``COLOUR_SECRETS_DIR`` (a file per variable, as Docker and
Kubernetes mount them). ``colour-worker settings`` lists them all.
"""

from __future__ import annotations

import os
import secrets
import socket
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NestedSecretsSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from worker import cores
from worker.errors import ConfigurationError

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]

_MOST_PROCESSES = 2
"""For photos, unless more are asked for: with three a worker at full speed takes more than 400 MB."""


class Group(BaseModel):
    """A group of settings: immutable, and a misspelt field is an error rather than silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class KafkaSettings(Group):
    """Where Kafka is and how to be let in."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, comma-separated")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ca_file: str | None = Field(None, description="PEM file of the authority that signed the brokers' certificates")
    certificate_file: str | None = Field(None, description="PEM file of the client's certificate")
    key_file: str | None = Field(None, description="PEM file of the client's private key")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    compression: Literal["none", "gzip", "lz4"] = Field("lz4", description="of what we produce")

    def client(self) -> dict[str, Any]:
        """The keyword arguments that every kafka-python client of ours starts from."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "security_protocol": self.security_protocol,
            "reconnect_backoff_max_ms": 1_000,
        }
        if self.security_protocol.endswith("SSL"):
            arguments |= {
                "ssl_cafile": self.ca_file,
                "ssl_certfile": self.certificate_file,
                "ssl_keyfile": self.key_file,
            }
        if self.security_protocol.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value() if self.sasl_password else None,
            }
        return arguments


class TopicSettings(Group):
    """The names of our topics; retry topics are ``<retry_prefix>.1``, ``.2``, …"""

    created: str = Field("listings.created", description="new listings: what we read")
    coloured: str = Field("listings.coloured", description="colours: what we write")
    retry_prefix: str = Field("listings.colour.retry", description="events that wait for another attempt")
    dead: str = Field("listings.colour.dead", description="events that were given up, with the reason")
    shadow: str = Field("listings.coloured.shadow", description="what a candidate release would have answered")
    create: bool = Field(True, description="create the topics that are missing; switch off where a platform owns them")
    partitions: Count = Field(6, description="of a topic that is created")
    replication: Annotated[int, Field(ge=-1)] = Field(
        -1, description="of a topic that is created; -1: as the broker says"
    )


class StreamSettings(Group):
    """The consumer loop: batches, transactions, retries."""

    group: str = Field("colour-worker", description="consumer group")
    instance: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
        description="unique per process, without a colon; part of the transactional id. A StatefulSet sets the pod's "
        "name, so that a restarted pod fences its own predecessor at once",
    )
    max_batch: Count = Field(
        64, description="records in a batch; fewer when fewer are waiting, up to 4 times that while the cache answers"
    )
    max_batches_in_flight: Count = Field(4, description="batches in computation at once; they commit in order")
    max_bytes_in_flight: Count = Field(64 << 20, description="bytes of records in computation at once")
    max_record_bytes: Count = Field(8 << 20, description="largest event that is fetched and written")
    retry_delays: tuple[timedelta, ...] = Field(
        (timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=1)),
        description="JSON list of seconds or ISO 8601 durations: one retry topic each",
    )
    transaction_timeout: Seconds = Field(20.0, description="after which Kafka aborts a dead worker's transaction, s")
    session_timeout: Seconds = Field(10.0, description="after which a silent worker's partitions go to others, s")
    drain_timeout: Seconds = Field(8.0, description="on SIGTERM: finish what is in flight for so long, s")
    stall_timeout: Seconds = Field(
        60.0, description="liveness fails after so long without progress while records wait, s"
    )

    @field_validator("instance")
    @classmethod
    def _without_colon(cls, instance: str) -> str:
        if ":" in instance:
            raise ValueError(
                f"{instance!r} has a colon, which ends the group's name in a transactional id; leave it out"
            )
        return instance

    @field_validator("retry_delays")
    @classmethod
    def _positive(cls, delays: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if any(delay <= timedelta(0) for delay in delays):
            raise ValueError("every retry delay must be longer than zero; write for example [30, 300, 3600]")
        return delays


class TritonSettings(Group):
    """Where Triton is, and how long to wait for it."""

    url: str = Field("127.0.0.1:8001", description="host:port of the gRPC endpoint")
    tls: bool = False
    ca_file: str | None = Field(None, description="PEM file of the authority that signed Triton's certificate")
    certificate_file: str | None = None
    key_file: str | None = None
    request_timeout: Seconds = Field(10.0, description="for one inference request, s")
    release_poll: Seconds = Field(2.0, description="how often the active release is read, s")
    retry_delay: Seconds = Field(0.5, description="between attempts while Triton is away, s")
    priority: Annotated[int, Field(ge=1, le=2)] = Field(
        1, description="1 = live traffic, 2 = backfill; counts where the models have priority levels"
    )
    background_rows: Count = Field(
        16, description="photos that a replay or a shadow has in Triton at once; live waits for no more. On a GPU: more"
    )


class RedisSettings(Group):
    """The embedding cache. Redis may be away: the worker goes on without it."""

    url: str = Field("redis://127.0.0.1:6379/0", description="redis:// or rediss:// address; empty: no cache")
    username: str | None = None
    password: SecretStr | None = None
    ca_file: str | None = Field(None, description="PEM file of the authority that signed Redis's certificate")
    timeout: Seconds = Field(0.25, description="for one round trip, s")
    retry_after: Seconds = Field(2.0, description="how long a failed Redis is left alone, s")
    expire: timedelta = Field(timedelta(days=30), description="seconds or ISO 8601: how long an embedding is kept")


class ImageSettings(Group):
    """Strangers' photos: which addresses may be called, and how much of what they send is taken."""

    allowed_private_hosts: tuple[str, ...] = Field(
        (), description='JSON list of hosts that may resolve to private addresses, e.g. ["127.0.0.1"] for the demo'
    )
    allowed_hosts: tuple[str, ...] = Field((), description="JSON list: if given, only these hosts and their subdomains")
    denied_hosts: tuple[str, ...] = Field((), description="JSON list: never these hosts and their subdomains")
    allowed_ports: tuple[int, ...] = Field((80, 443), description="JSON list; private hosts allowed above: any port")
    connect_timeout: Seconds = Field(2.0, description="s")
    first_byte_timeout: Seconds = Field(3.0, description="s")
    total_timeout: Seconds = Field(8.0, description="s")
    max_bytes: Count = Field(20 << 20, description="of one photo's file")
    max_pixels: Count = Field(100_000_000, description="of one photo, by its header, before decoding")
    max_per_host: Count = Field(32, description="requests to one host at once")
    max_connections: Count = Field(128, description="requests to all hosts at once")
    decode_threads: Count = Field(
        # As many as Python's own pools: while some wait for the interpreter's lock, others use the cores.
        default_factory=lambda: cores.usable() + 4,
        description="threads that decode photos, in all processes",
    )
    processes: Annotated[int, Field(ge=0, le=64)] = Field(
        # One interpreter's lock lets about one core work; each process takes 70 to 115 MB.
        default_factory=lambda: min(cores.usable(), _MOST_PROCESSES),
        description="processes that fetch and decode photos; 0: the worker's own does",
    )


class TaggerSettings(Group):
    """What of a listing is looked at."""

    max_photos: Count = Field(3, description="the first so many photos of a listing")
    max_text: Count = Field(2_000, description="characters of title and description")
    top: Count = Field(3, description="most probable colours that an answer lists")


class ShadowSettings(Group):
    """A candidate release beside the active one; ``colour-worker models shadow`` switches it on and off."""

    batch: Count = Field(8, description="listings that the candidate answers together")
    queue: Count = Field(64, description="listings that may wait for the candidate; more are dropped")
    max_bytes: Count = Field(16 << 20, description="bytes of events that may wait for the candidate")
    timeout: Seconds = Field(5.0, description="for one batch, photos included, s")
    pause: Seconds = Field(5.0, description="how long a candidate that failed is left alone, s")


class ObserveSettings(Group):
    """What operators see."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = Field(9108, description="of /healthz, /readyz and /metrics; 0: any")
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """All of them."""

    model_config = SettingsConfigDict(
        env_prefix="COLOUR_",
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        secrets_dir=os.environ.get("COLOUR_SECRETS_DIR"),
        secrets_nested_delimiter="__",
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    stream: StreamSettings = Field(default_factory=StreamSettings)
    triton: TritonSettings = TritonSettings()
    redis: RedisSettings = RedisSettings()
    images: ImageSettings = Field(default_factory=ImageSettings)
    tagger: TaggerSettings = TaggerSettings()
    shadow: ShadowSettings = ShadowSettings()
    observe: ObserveSettings = ObserveSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings calls by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before environment before secret files; a nested field may come from a file of its own."""
        return (init_settings, env_settings, NestedSecretsSettingsSource(file_secret_settings))

    @classmethod
    def load(cls) -> Settings:
        """Read the environment.

        Raises:
            ConfigurationError: naming each variable that is wrong, and how.
        """
        try:
            return cls()
        except ValidationError as error:
            lines = [
                f"{environment_name(*(str(part) for part in item['loc'][:2]))}: {item['msg']}"
                for item in error.errors(include_url=False, include_input=False)
            ]
            raise ConfigurationError("settings cannot be used:\n  " + "\n  ".join(lines)) from None


def environment_name(*path: str) -> str:
    """``("kafka", "ca_file")`` -> ``"COLOUR_KAFKA__CA_FILE"``."""
    return "COLOUR_" + "__".join(part.upper() for part in path)
