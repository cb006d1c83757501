"""Kafka, Redis and Triton as a platform secures them: TLS, passwords, client certificates."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from redis import Redis
from redis.exceptions import RedisError

from deploy.local.kafka import KafkaServer
from deploy.local.ports import LOOPBACK, answers
from deploy.local.redis import RedisServer
from deploy.local.triton import TritonServer
from tests.support.fixtures import STANDIN

USER = "colour"


@dataclass(frozen=True)
class Certificates:
    """An authority of this test's own, and what it signed; PEM files.

    Parameters:
        folder: where they lie.
    """

    folder: Path

    def __post_init__(self) -> None:
        self._sign("authority", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
        for name in ("server", "client"):
            self._sign(
                name, "-CA", str(self.authority), "-CAkey", str(self.key("authority")),
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", f"subjectAltName=IP:{LOOPBACK},DNS:localhost",
            )  # fmt: skip

    @property
    def authority(self) -> Path:
        return self.certificate("authority")

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def _sign(self, name: str, *options: str) -> None:
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", str(self.key(name)), "-out", str(self.certificate(name)), *options,
            ],
            check=True,
            capture_output=True,
            timeout=30,
        )  # fmt: skip


class SecuredKafka(KafkaServer):
    """A broker whose clients come over TLS and say a SCRAM-SHA-512 password.

    The plain listener stays, for the test's own view of the topics.
    """

    port_names: ClassVar[tuple[str, ...]] = ("client", "controller", "secured")

    def __init__(self, directory: Path, *, certificates: Certificates, password: str) -> None:
        super().__init__(directory)
        self._certificates = certificates
        self._password = password

    def settings(self) -> dict[str, str]:
        return {
            "COLOUR_KAFKA__BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.ports['secured']}",
            "COLOUR_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "COLOUR_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
            "COLOUR_KAFKA__SASL_USERNAME": USER,
            "COLOUR_KAFKA__CA_FILE": str(self._certificates.authority),
        }

    def more_properties(self) -> str:
        keystore = self.directory / "keystore.pem"
        keystore.write_text(
            self._certificates.key("server").read_text() + self._certificates.certificate("server").read_text()
        )
        plain, secured = (f"{LOOPBACK}:{self.ports[name]}" for name in ("client", "secured"))
        return f"""\
listeners=PLAINTEXT://{plain},CONTROLLER://{LOOPBACK}:{self.ports["controller"]},SECURED://{secured}
advertised.listeners=PLAINTEXT://{plain},SECURED://{secured}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""

    def format_options(self) -> list[str]:
        return ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={self._password}]"]


class SecuredRedis(RedisServer):
    """A Redis that speaks TLS only; its user may do what the cache needs, under ``colour:``, and nothing else."""

    def __init__(self, directory: Path, *, certificates: Certificates, password: str) -> None:
        super().__init__(directory)
        self._certificates = certificates
        self._password = password

    @property
    def url(self) -> str:
        return f"rediss://{LOOPBACK}:{self.ports['client']}/0"

    def settings(self) -> dict[str, str]:
        return {
            "COLOUR_REDIS__URL": self.url,
            "COLOUR_REDIS__USERNAME": USER,
            "COLOUR_REDIS__CA_FILE": str(self._certificates.authority),
        }

    def prepare(self) -> None:
        (self.directory / "users.acl").write_text(
            f"user default off\n"
            f"user {USER} on >{self._password} ~colour:* +mget +set +select\n"
            f"user operator on >{self._password} ~* +@all\n"
        )

    def command(self) -> list[str]:
        plain = super().command()
        plain[plain.index("--port") + 1] = "0"
        return [
            *plain, "--tls-port", str(self.ports["client"]),
            "--tls-cert-file", str(self._certificates.certificate("server")),
            "--tls-key-file", str(self._certificates.key("server")),
            "--tls-ca-cert-file", str(self._certificates.authority),
            "--tls-auth-clients", "no", "--aclfile", str(self.directory / "users.acl"),
        ]  # fmt: skip

    def operator(self) -> Redis:
        """A client that may do everything."""
        return Redis.from_url(
            self.url, username="operator", password=self._password, ssl_ca_certs=str(self._certificates.authority)
        )

    def is_ready(self) -> bool:
        if not self.ports or not answers(self.ports["client"]):
            return False
        try:
            with self.operator() as client:
                return bool(client.ping())
        except RedisError:
            return False


class SecuredTriton(TritonServer):
    """A Triton whose gRPC endpoint speaks TLS, and only with clients that have a certificate of our authority."""

    def __init__(self, directory: Path, *, certificates: Certificates) -> None:
        super().__init__(directory, repository=STANDIN)
        self._certificates = certificates

    def settings(self) -> dict[str, str]:
        return {
            "COLOUR_TRITON__URL": self.grpc,
            "COLOUR_TRITON__TLS": "true",
            "COLOUR_TRITON__CA_FILE": str(self._certificates.authority),
            "COLOUR_TRITON__CERTIFICATE_FILE": str(self._certificates.certificate("client")),
            "COLOUR_TRITON__KEY_FILE": str(self._certificates.key("client")),
        }

    def command(self) -> list[str]:
        return [
            *super().command(), "--grpc-use-ssl=1", "--grpc-use-ssl-mutual=1",
            f"--grpc-server-cert={self._certificates.certificate('server')}",
            f"--grpc-server-key={self._certificates.key('server')}",
            f"--grpc-root-cert={self._certificates.authority}",
        ]  # fmt: skip
