"""``colour-worker models``: status, load, verify, shadow, activate, rollback, retire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.errors import ReleaseGone
from worker.models.activation import Operator, Verified
from worker.models.control import Control
from worker.models.repository import MODELS, Repository, written
from worker.models.shadowing import written_shadow
from worker.settings import Settings

models_app = typer.Typer(no_args_is_help=True, help="Change the models under the running stream, and back.")

T = TypeVar("T")


class Part(StrEnum):
    """A model of a release."""

    IMAGE = "image"
    TEXT = "text"
    HEAD = "head"


Folder = Annotated[Path, typer.Option("--repository", help="The model repository that Triton reads.")]
Addresses = Annotated[
    list[str] | None,
    typer.Option("--triton", help="gRPC host:port; once for each replica. Without it: COLOUR_TRITON__URL."),
]
Tolerance = Annotated[float, typer.Option(min=0, help="Largest difference of one value of a golden answer.")]
Version = Annotated[int | None, typer.Option(min=1, help="Without it: as in the active release.", show_default=False)]
_FOLDER = Path("triton_models")


@models_app.command()
def status(*, repository: Folder = _FOLDER, triton: Addresses = None) -> None:
    """Show what is in the repository, what each Triton serves, and which release is active."""
    folder = Repository(repository)
    previous, shadowed = folder.previous(), folder.shadow()
    typer.echo(f"active in the repository\t{written(folder.active())}")
    typer.echo(f"since\t{folder.activated_at() or 'its export'}")
    typer.echo(f"previous\t{written(previous) if previous else 'none'}")
    typer.echo(f"shadow\t{written_shadow(*shadowed) if shadowed else 'none'}")
    asyncio.run(_status(folder, triton))


@models_app.command()
def load(
    *,
    image: Version = None,
    text: Version = None,
    head: Version = None,
    repository: Folder = _FOLDER,
    triton: Addresses = None,
) -> None:
    """Serve a release's versions beside the active ones. No listing is answered by them yet."""
    folder = Repository(repository)
    versions = _versions(folder, image, text, head)
    loaded = _operate(folder, triton, 0.0, lambda operator: operator.load(versions))
    typer.echo(f"loaded {', '.join(loaded)}" if loaded else "everything is loaded already")


@models_app.command()
def verify(
    *,
    image: Version = None,
    text: Version = None,
    head: Version = None,
    repository: Folder = _FOLDER,
    triton: Addresses = None,
    tolerance: Tolerance = 0.005,
) -> None:
    """Compare a loaded release with what was exported: files, fingerprints, golden answers, label order."""
    folder = Repository(repository)
    versions = _versions(folder, image, text, head)
    _print_verified(_operate(folder, triton, tolerance, lambda operator: operator.verify(versions)))
    typer.echo(f"{written(versions)} answers as it was exported")


@models_app.command()
def shadow(
    *,
    image: Version = None,
    text: Version = None,
    head: Version = None,
    share: Annotated[float, typer.Option(min=0.0001, max=1, help="Of the listings, by a hash of their id.")] = 0.1,
    off: Annotated[bool, typer.Option("--off", help="Shadow nothing any more.")] = False,
    repository: Folder = _FOLDER,
    triton: Addresses = None,
    tolerance: Tolerance = 0.005,
) -> None:
    """Verify a loaded release and let it answer a share of the live traffic too; nobody downstream sees its answers.

    Workers begin within 3 s. Look at the differences with `models compare`.
    """
    folder = Repository(repository)
    if off:
        ended = _operate(folder, triton, 0.0, lambda operator: operator.end_shadow())
        typer.echo("nothing is shadowed any more" if ended else "nothing was shadowed")
        return
    versions = _versions(folder, image, text, head)
    _print_verified(_operate(folder, triton, tolerance, lambda operator: operator.shadow(versions, share)))
    typer.echo(f"shadow: {written(versions)}, on {share:.2%} of the listings")


@models_app.command()
def activate(
    *,
    image: Version = None,
    text: Version = None,
    head: Version = None,
    repository: Folder = _FOLDER,
    triton: Addresses = None,
    tolerance: Tolerance = 0.005,
) -> None:
    """Verify a release and make it the active one; workers follow within 3 s."""
    folder = Repository(repository)
    versions = _versions(folder, image, text, head)
    _print_verified(_operate(folder, triton, tolerance, lambda operator: operator.activate(versions)))
    typer.echo(f"active: {written(versions)}")


@models_app.command()
def rollback(*, repository: Folder = _FOLDER, triton: Addresses = None, tolerance: Tolerance = 0.005) -> None:
    """Make the release before the active one again; a second rollback undoes the first.

    The previous release is verified by its files and golden answers; the active one is not asked anything.
    """
    folder = Repository(repository)
    versions, seen = _operate(folder, triton, tolerance, lambda operator: operator.rollback())
    _print_verified(seen)
    typer.echo(f"active: {written(versions)}")


@models_app.command()
def retire(
    part: Part,
    version: Annotated[int, typer.Argument(min=1)],
    *,
    repository: Folder = _FOLDER,
    triton: Addresses = None,
) -> None:
    """Stop serving a version that neither the active, the previous nor the shadowed release uses. Its files stay."""
    _operate(Repository(repository), triton, 0.0, lambda operator: operator.retire(part.value, str(version)))
    typer.echo(f"{MODELS[part]} {version} is not served any more; its files are still there")


def _versions(folder: Repository, image: int | None, text: int | None, head: int | None) -> dict[str, str]:
    named = {"image": image, "text": text, "head": head}
    return folder.active() | {name: str(version) for name, version in named.items() if version is not None}


def _operate(
    folder: Repository, addresses: list[str] | None, tolerance: float, act: Callable[[Operator], Awaitable[T]]
) -> T:
    async def operate() -> T:
        async with _connected(addresses) as replicas:
            return await act(Operator(folder, replicas, tolerance=tolerance))

    return asyncio.run(operate())


@asynccontextmanager
async def _connected(addresses: list[str] | None) -> AsyncIterator[list[Control]]:
    settings = Settings.load().triton
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Control(settings.model_copy(update={"url": address})))
            for address in addresses or [settings.url]
        ]


async def _status(folder: Repository, addresses: list[str] | None) -> None:
    async with _connected(addresses) as replicas:
        for replica in replicas:
            try:
                typer.echo(f"active at {replica.address}\t{written(await replica.active())}")
            except ReleaseGone as error:
                typer.echo(f"active at {replica.address}\tnone: {error}")
            _table(
                (
                    "model", "version", "fingerprint", "release", "Triton", "loaded", "rows", "share", "mean batch",
                    "failed", "ms", "last",
                ),
                [row for name in MODELS for row in await _rows(folder, replica, name)],
            )  # fmt: skip


async def _rows(folder: Repository, replica: Control, name: str) -> list[tuple[str, ...]]:
    model = MODELS[name]
    states = await replica.states()
    try:
        traffic = await replica.traffic(model)
    except ReleaseGone:
        traffic = {}
    used, all_rows = folder.in_use(), max(1, sum(one.rows for one in traffic.values()))
    parameters = folder.config(model).parameters
    known = set(folder.versions(model)) | {version for one, version in states if one == model}
    rows: list[tuple[str, ...]] = []
    for version in sorted(known, key=int):
        uses = [title for title, release in used.items() if release[name] == version]
        seen = traffic.get(version)
        counted = (
            (str(seen.rows), f"{seen.rows / all_rows:.1%}",
             f"{seen.rows / max(1, seen.runs):.1f}", str(seen.failures), f"{seen.milliseconds:.1f}",
             datetime.fromtimestamp(seen.last / 1000, UTC).isoformat(timespec="seconds") if seen.last else "never")
            if seen is not None else ("", "", "", "", "", "")
        )  # fmt: skip
        fingerprint = parameters[f"{version}/fingerprint"].string_value or "none"
        state = states.get((model, version), "not loaded")
        loaded = folder.loaded_at(model, version) or "with Triton" if seen is not None else ""
        rows.append((model, version, fingerprint, ",".join(uses), state, loaded, *counted))
    return rows


def _print_verified(seen: Sequence[Verified]) -> None:
    _table(
        ("Triton", "model", "golden rows", "largest difference", "plain colours misnamed (by the active release)"),
        [
            (one.address, each.model, str(each.rows), f"{each.largest:.2g}",
             f"{one.misnamed} ({one.misnamed_by_active})"
             if each.model == MODELS["head"] and one.misnamed is not None else "")
            for one in seen for each in one.differences
        ],
    )  # fmt: skip


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal, tab-separated lines in a pipe."""
    console = Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            typer.echo("\t".join(row))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Triton's reasons hold brackets, which are no markup
    console.print(table)
