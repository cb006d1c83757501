"""``run.json``: what every stage of a model was given, what came of it, and whether it must be done again.

One file in the model's folder, one entry a stage: settings, SHA-256 of the inputs, seeds, package versions, seconds,
results. A stage whose entry says "done" for the same settings and inputs is not redone; one that was killed goes on
from what it saved; one whose settings or inputs have changed begins anew, and so do those that come after it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.devices import Device

PACKAGES = ("torch", "open_clip_torch", "timm", "numpy", "opencv-python-headless", "onnx", "onnxruntime", "tokenizers")
_CHUNK = 1 << 20


@dataclass
class Run:
    """One stage, while it is at work.

    Parameters:
        done: it was finished before with the same settings and inputs; there is nothing to do.
        resumed: it was begun before with the same settings and inputs, and killed: what it saved may be used.
        results: what the stage has to say; kept in ``run.json``.
    """

    done: bool
    resumed: bool
    results: dict[str, Any] = field(default_factory=dict)


def sha256(path: Path) -> str:
    """Of a file's bytes, or of the names, sizes and bytes of a folder's files, hexadecimal.

    Raises:
        FileNotFoundError: nothing is there.
    """
    if path.is_file():
        return _digest([path], path.parent)
    if path.is_dir():
        return _digest(sorted(file for file in path.rglob("*") if file.is_file()), path)
    raise FileNotFoundError(f"{path}: not there")


@contextmanager
def stage(
    out: Path,
    name: str,
    *,
    config: object,
    inputs: Mapping[str, Path] | None = None,
    after: Sequence[str] = (),
    outputs: Sequence[Path] = (),
    again: bool = False,
    device: Device | None = None,
) -> Iterator[Run]:
    """Record one stage in ``out/run.json``; the body is the stage, unless ``done``.

    Parameters:
        out: folder of the model.
        name: of the stage.
        config: its settings, a dataclass or what JSON can say.
        inputs: files or folders that it reads, by name; their SHA-256 is kept.
        after: stages whose results it reads; when one of them is done again, this one is too.
        outputs: what must be there for it to count as done.
        again: redo it even if it is done.
        device: under ``torchrun`` the first process decides and writes, the others follow.

    Raises:
        FileNotFoundError: an input is not there.
    """
    if device is not None and not device.first:
        done, resumed = device.agree(False), device.agree(False)
        yield Run(done=done, resumed=resumed)
        return
    entries = read(out)
    settings = asdict(config) if is_dataclass(config) and not isinstance(config, type) else config
    given = {
        "config": json.loads(json.dumps(settings, default=str)),
        "inputs": {key: sha256(path) for key, path in (inputs or {}).items()},
        "after": {earlier: [entries.get(earlier, {}).get(part) for part in ("key", "ended")] for earlier in after},
    }
    key = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
    before = entries.get(name, {})
    same = before.get("key") == key and not again
    done = same and before.get("state") == "done" and all(path.exists() for path in outputs)
    # A folder without an entry was trained by hand: what it saved is gone on from.
    resumed = not again and (not before or (same and before.get("state") == "begun"))
    if device is not None:
        done, resumed = device.agree(done), device.agree(resumed)
    if done:
        yield Run(done=True, resumed=False, results=before["results"])
        return
    run = Run(done=False, resumed=resumed)
    entry: dict[str, Any] = {
        "state": "begun",
        "key": key,
        **given,
        "seeds": _seeds(given["config"]),
        "packages": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "machine": {"processor": processor(), "cores": len(os.sched_getaffinity(0))},
        "began": _now(),
        "sittings": before.get("sittings", 0) + 1 if run.resumed else 1,
        "seconds": before.get("seconds", 0.0) if run.resumed else 0.0,
    }
    _write(out, name, entry)
    began = time.monotonic()
    try:
        yield run
    except BaseException:
        # Also when it is interrupted: the time was spent, and the next sitting adds its own.
        _write(out, name, entry | {"seconds": round(entry["seconds"] + time.monotonic() - began, 1)})
        raise
    seconds = round(entry["seconds"] + time.monotonic() - began, 1)
    _write(out, name, entry | {"state": "done", "ended": _now(), "seconds": seconds, "results": run.results})


def processor() -> str:
    """What this machine's processor calls itself, e.g. "Intel(R) Xeon(R) Processor"."""
    cpus = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", cpus.read_text(encoding="utf-8")) if cpus.is_file() else None
    return named[1].strip() if named else platform.machine()


def read(out: Path) -> dict[str, Any]:
    """All entries by stage; none where no stage has begun."""
    path = out / "run.json"
    entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return entries


def _write(out: Path, name: str, entry: dict[str, Any]) -> None:
    # Read anew: another command may have written its own entry in the meantime (rivals beside the encoder).
    entries = read(out) | {name: entry}
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f"run.json.{os.getpid()}.partial"
    partial.write_text(json.dumps(entries, indent=1, ensure_ascii=False), encoding="utf-8")
    partial.replace(out / "run.json")


def _digest(files: Sequence[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        if len(files) > 1:
            digest.update(f"{file.relative_to(root)} {file.stat().st_size}\n".encode())
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _seeds(config: Any, path: str = "") -> dict[str, int]:
    """Every setting named ``seed``, by its dotted path."""
    if not isinstance(config, dict):
        return {}
    found = {f"{path}{key}": value for key, value in config.items() if key == "seed"}
    for key, value in config.items():
        found |= _seeds(value, f"{path}{key}.")
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
