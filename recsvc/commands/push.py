"""Plan pushes and look at the plan; simulate a policy before switching to it."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from features.errors import DataError
from recsvc.client import Client, PushPlan
from recsvc.commands import show
from recsvc.commands.connection import connected
from recsvc.commands.recommend import Json
from recsvc.push.config import PushConfig, read_push_config
from recsvc.push.provinces import plan_published, plan_tenants
from recsvc.push.texts import UNSERVED_TEXTS
from recsvc.push.types import Plan

app = typer.Typer(no_args_is_help=True)
PushConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with a \\[push] table: caps, waves, worth …"),
]


@app.command("plan", epilog="Example: recsvc push plan --commit")
@connected
def plan(
    client: Client,
    commit: Annotated[
        bool, typer.Option("--commit", help="Put the pushes into the outbox, to be delivered.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="Pushes and unserved leads to show.")] = 10,
    json: Json = False,
) -> None:
    """Have the service plan its pushes as of now; without --commit nothing is sent (a dry run)."""
    found = client.plan_pushes(commit=commit)
    if json:
        show.print_json(found)
        return
    console = Console()
    console.print(_served_figures(found))
    if limit and found.pushes:
        table = Table("lead", "member", "wave", "chance", "why")
        for push in found.pushes[:limit]:
            chance = "–" if push.claim_probability is None else f"{push.claim_probability:.1%}"
            why = Text("；".join(push.reasons))
            table.add_row(Text(push.lead_id), Text(push.member_id), str(push.wave), chance, why)
        console.print(table)
    counts = Counter(lead.reason for lead in found.unserved)
    if counts:
        table = Table("open leads without a push", "why", "for example")
        for reason, count in counts.most_common():
            first = next(lead for lead in found.unserved if lead.reason == reason)
            table.add_row(f"{count:,}", Text(first.text), Text(first.lead_id))
        console.print(table)
    console.print(
        f"in the outbox: plan {found.plan_id}" if commit else "a dry run: nothing is sent"
    )


@app.command("preview", epilog="Example: recsvc push preview --models models --tenant gd")
def preview(
    models: Annotated[Path, typer.Option(help="Where models are published.")] = Path("models"),
    tenant: Annotated[
        list[str] | None, typer.Option(help="Whose pushes; several are planned in parallel.")
    ] = None,
    lead: Annotated[
        list[str] | None, typer.Option(help="Plan only these leads (one tenant).")
    ] = None,
    at: Annotated[str, typer.Option(help="Plan for this moment (RFC 3339); default: now.")] = "",
    config: PushConfigFile = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the configured one.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Pushes and unserved leads to show.")] = 10,
    json: Json = False,
) -> None:
    """Plan from a published model alone, without a service; nothing is written or sent.

    The plan is that of the catalogue and log that the model was trained on: to try a configuration.
    """
    settings = read_push_config(config) if config else PushConfig()
    if seed is not None:
        settings = msgspec.structs.replace(settings, seed=seed)
    now_us = _moment_us(at)
    tenants = tenant or ["default"]
    if lead and len(tenants) == 1:
        plans = {tenants[0]: plan_published(models, tenants[0], settings, now_us, only=lead)}
    elif lead:
        raise typer.BadParameter("--lead goes with one --tenant")
    else:
        plans = plan_tenants(models, tenants, settings, now_us)
    if json:
        show.print_json(msgspec.to_builtins(plans))
        return
    for name, found in plans.items():
        print_plan(Console(), name, found, limit)


def print_plan(console: Console, tenant: str, plan: Plan, limit: int) -> None:
    """Figures, the first pushes, and what is unserved and why."""
    console.print(_figures(tenant, plan))
    if limit and plan.pushes:
        console.print(_pushes(plan, limit))
    counts = Counter(lead.reason for lead in plan.unserved.values())
    if counts:
        table = Table("open leads without a push", "why", "for example")
        for reason, count in counts.most_common():
            first = next(i for i, lead in plan.unserved.items() if lead.reason is reason)
            text = plan.unserved[first].text if plan.unserved[first].removed else first
            table.add_row(f"{count:,}", Text(UNSERVED_TEXTS[reason]), Text(text))
        console.print(table)
    if plan.nobody_took:
        names = ", ".join(plan.nobody_took[:limit])
        console.print(Text(f"nobody took {len(plan.nobody_took):,} leads: {names} …"))


def _served_figures(plan: PushPlan) -> Table:
    table = Table(title="push plan")
    table.add_column("what")
    table.add_column("how much", justify="right")
    for what, value in (
        ("pushes", f"{len(plan.pushes):,}"),
        ("open leads without a push", f"{len(plan.unserved):,}"),
        ("coverage", f"{plan.coverage:.2%}"),
        ("leads that somebody will take, expected", f"{plan.expected_claimed:,.1f}"),
        ("flow proved optimal", "yes" if plan.proved else "NO"),
        ("share of the busiest 1 % of members", f"{plan.busiest_share:.2%}"),
    ):
        table.add_row(what, value)
    return table


def _figures(tenant: str, plan: Plan) -> Table:
    f = plan.figures
    gap = (f.bound - f.objective) / f.bound if f.bound > 0 else 0.0
    table = Table(title=f"push plan of {tenant}, model {plan.model_id}, seed {plan.seed}")
    table.add_column("what")
    table.add_column("how much", justify="right")
    for what, value in (
        ("pushes, to members", f"{f.pushes_count:,}, {f.members_count:,}"),
        (
            "leads due / with a free member / served",
            f"{f.due_count:,} / {f.servable_count:,} / {f.served_count:,}",
        ),
        ("coverage", f"{plan.figures.coverage:.2%}"),
        ("counties servable / served", f"{f.counties_servable:,} / {f.counties_served:,}"),
        ("leads that somebody will take, expected", f"{f.expected_claimed:,.1f}"),
        ("below the bound of all plans, at most", f"{gap:.2%}"),
        ("flow proved optimal", "yes" if f.proved else "NO"),
        ("from beyond the candidates / by chance", f"{f.repaired_count:,} / {f.explored_count:,}"),
        (
            "share of the busiest 1 % of members (bound)",
            f"{f.busiest_share:.2%} ({f.busiest_limit:.0%})",
        ),
        ("escalated leads", f"{len(plan.escalations):,}"),
        ("candidate pairs", f"{f.candidate_pairs:,}"),
        ("seconds: candidates + plan", f"{f.candidates_seconds:.1f} + {f.solve_seconds:.1f}"),
    ):
        table.add_row(what, value)
    return table


def _pushes(plan: Plan, limit: int) -> Table:
    table = Table("lead", "member", "wave", "chance", "propensity", "how", "km")
    for push in sorted(plan.pushes, key=lambda p: -p.value)[:limit]:
        km = push.facts.distance_km
        table.add_row(
            Text(push.lead_id),
            Text(push.member_id),
            str(push.wave),
            f"{push.probability:.1%}",
            f"{push.propensity:.3f}",
            push.facts.source.value,
            "–" if km is None else f"{km:.1f}",
        )
    return table


def _moment_us(text: str) -> int:
    if not text:
        return time.time_ns() // 1_000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{text!r} is no time: write 2026-01-31T09:00:00+08:00") from error
    return int(moment.astimezone().timestamp() * 1_000_000)
