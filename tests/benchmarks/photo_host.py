"""The photo host of a benchmark: files out of memory over kept connections, at a tenth of a millisecond a photo.

A content delivery network works on machines of its own. Here it shares the cores with what is measured, so it must cost
as little as it can: whoever asks for more photos a second would lose more to it. ``deploy.local.photos`` serves files
with care, which takes ten times as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.ports import LOOPBACK
from deploy.local.steps import REPOSITORY

_SEND_BUFFER = 1 << 20
"""Bytes: a whole answer is handed to the kernel at once."""
_LONGEST_REQUEST = 16 << 10


class Connection(asyncio.Protocol):
    """One connection: GET requests one after the other, each answered as soon as it is complete.

    Parameters:
        answers: whole HTTP answers by path.
    """

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"a TCP transport was expected, not {transport!r}")
        self._transport = transport
        connected: socket.socket = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            request, _, self._received = self._received.partition(b"\r\n\r\n")
            self._transport.write(self._answer(request))
        if len(self._received) > _LONGEST_REQUEST:
            self._transport.close()

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method != b"GET":
            return _answer(b"405 Method Not Allowed", b"text/plain", b"GET only")
        return self._answers.get(path) or _answer(b"404 Not Found", b"text/plain", b"no such photo")


def _answer(status: bytes, kind: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, kind, len(body), body)


def answers_of(folder: Path) -> dict[bytes, bytes]:
    """A whole answer for each photo that ``folder`` holds now, by path."""
    return {
        f"/{path.name}".encode(): _answer(b"200 OK", b"image/jpeg", path.read_bytes()) for path in folder.glob("*.jpg")
    }


async def serve(answers: Mapping[bytes, bytes]) -> None:
    """Serve until SIGTERM; the first line of standard output is the port."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answers), LOOPBACK, 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await stopped.wait()
    server.close()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A photo host as a process of its own; its address, without a slash at its end.

    Raises:
        RuntimeError: it did not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = process.stdout.readline().strip() if process.stdout else ""
        if not port.isdigit():
            raise RuntimeError(f"the photo host did not start (it ended with {process.wait(10)})")
        yield f"http://{LOOPBACK}:{port}"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait(5)
        if process.stdout:
            process.stdout.close()


if __name__ == "__main__":
    asyncio.run(serve(answers_of(Path(sys.argv[1]))))
