"""``colour-worker replay``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.errors import ConfigurationError
from worker.events import ReleaseNames
from worker.models import Triton
from worker.observe import logs
from worker.replay import dryrun, release, screen, session
from worker.replay import plan as plans
from worker.replay.plan import Plan
from worker.replay.previous import PreviousAnswers
from worker.replay.ranges import Bound, resolve
from worker.replay.selection import Selection
from worker.settings import Settings

INTERRUPTED = 75
"""Exit code (``EX_TEMPFAIL``) of a replay that was stopped before its end: run it again with its id."""


def replay(
    *,
    first: Annotated[
        str | None,
        typer.Option("--from", help="2026-01-31T12:00:00Z, 36h (so long ago), 1200 (offset) or 0:100,1:200."),
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="As --from; exclusive. Without it: the present end.")] = None,
    topic: Annotated[str | None, typer.Option(help="What is read instead of the topic of new listings.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="category=…, colour=…, uncertain (last answer) or dead (dead letters); repeat for both."),
    ] = None,
    versions: Annotated[
        str | None, typer.Option("--release", metavar="head=2", help="Versions other than the active release's.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Events per second of this process, at most.")] = None,
    output_topic: Annotated[str | None, typer.Option(help="Instead of the topic of colours.")] = None,
    changes_only: Annotated[
        bool, typer.Option("--changes-only", help="Publish only answers that differ from the last one.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare/--no-compare", help="Read the last answers, to tell how labels moved.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count, probe the cache and estimate; write nothing to Kafka.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--id", help="Resume or join this replay; with --from, begin it under this id.")
    ] = None,
) -> None:
    """Tag a stretch of the topic again, beside live traffic and without touching it.

    May be interrupted or killed: with --id it goes on where it was, and answers every event exactly once. Several
    processes with one --id share the work.
    """
    settings = Settings.load()
    logs.configure(settings.observe)
    if name is not None and not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise typer.BadParameter("an id is made of 1 to 64 letters, digits, dots, underscores and dashes")
    options = {
        "from": first, "to": last, "topic": topic, "only": ",".join(sorted(only or [])) or None, "release": versions,
        "output-topic": output_topic, "changes-only": "yes" if changes_only else None,
    }  # fmt: skip
    request = {option: value for option, value in options.items() if value is not None}
    now = datetime.now(UTC)
    plan = None if name is None or dry_run else Plan.find(settings, name)
    if plan is not None and request:
        plan.check_request(request)
    if plan is None and first is None:
        raise typer.BadParameter("--from is missing" if name is None else f"no replay {name} was begun; give --from")
    if plan is None:
        chosen = name or plans.new_id(now)

        def draft() -> Plan:
            return _draft(settings, chosen, request, only or [], now)

        if dry_run:
            planned = draft()
            dryrun.report(settings, planned, _previous(settings, planned, compare=False))
            return
        plan = plans.begin(settings, chosen, draft)
        plan.check_request(request)
    typer.echo(
        f"replay {plan.id}: {plan.offsets:,} offsets of {plan.topic}; resume or join by --id {plan.id}", err=True
    )
    session.step_aside()
    previous = _previous(settings, plan, compare=compare)
    standing = asyncio.run(session.run(settings, plan, previous, rate=rate))
    screen.summary(plan, standing.tally)
    if not standing.complete:
        typer.echo(f"interrupted; go on with: colour-worker replay --id {plan.id}", err=True)
        raise typer.Exit(INTERRUPTED)


def _draft(settings: Settings, name: str, request: Mapping[str, str], only: list[str], now: datetime) -> Plan:
    try:
        selection = Selection.parse(only)
        begin = Bound.parse(request["from"], now)
        end = Bound.parse(request["to"], now) if "to" in request else None
        versions = release.parse(request["release"]) if "release" in request else {}
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if selection.dead and "changes-only" in request:
        raise typer.BadParameter("--changes-only does not go with --only dead: a dead letter had no answer")
    topic = request.get("topic", settings.topics.dead if selection.dead else settings.topics.created)
    ranges = resolve(settings, topic, begin, end)
    output = request.get("output-topic", settings.topics.coloured)
    if output == topic:
        raise ConfigurationError(f"a replay that writes into what it reads ({topic}) would never be trusted again")
    return Plan(
        id=name,
        topic=topic,
        ranges=tuple(ranges),
        only=tuple(only),
        changes_only="changes-only" in request,
        output_topic=output,
        release=asyncio.run(_release(settings, versions)),
        since=begin.time,
        request=request,
        made=now,
    )


async def _release(settings: Settings, versions: Mapping[str, str]) -> ReleaseNames:
    async with Triton(settings.triton) as triton:
        return (await release.choose(triton, versions)).names


def _previous(settings: Settings, plan: Plan, *, compare: bool) -> PreviousAnswers | None:
    if plan.selection.dead or not (compare or plan.changes_only or plan.selection.needs_answers):
        return None

    def tell(count: int) -> None:
        typer.echo(f"reading the last answers: {count:,}", err=True)

    return session.read_previous(settings, plan, tell)
