"""`recsvc recommend`, `match` and `explain`: ask a running service."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from features.entities import Lead
from recsvc.client import Client, Eligibility
from recsvc.commands import show
from recsvc.commands.connection import connected

Count = Annotated[int, typer.Option("--count", "-n", min=1, max=100, help="How many.")]
Topics = Annotated[
    list[str] | None, typer.Option("--topic", help="Only with one of these topics; repeatable.")
]
Region = Annotated[str, typer.Option("--in-region", help="Only there: GB/T 2260, 2 to 12 digits.")]
MaxKm = Annotated[float | None, typer.Option(min=0, help="Only this near, in km.")]
Diversity = Annotated[
    float | None, typer.Option(min=0, max=1, help="0: best first, 1: as different as possible.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs, with every detail.")]


@connected
def recommend(
    client: Client,
    member: Annotated[str, typer.Argument(help="Id of the member.")],
    count: Count = 10,
    topic: Topics = None,
    in_region: Region = "",
    max_km: MaxKm = None,
    diversity: Diversity = None,
    json: Json = False,
) -> None:
    """Show the best open leads for a member, each with its reasons.

    Example: recsvc recommend m-17 --count 5
    """
    wanted = Eligibility(tuple(topic or ()), (), in_region, max_km)
    found = client.recommend(
        member, count=count, eligibility=wanted, diversity=diversity, full=True
    )
    if json:
        show.print_json(found)
        return
    console = Console()
    console.print(show.lead_table(found, f"leads for member {member}"))
    console.print(Text(show.list_footer(found.info, len(found)), "dim"))


@connected
def match(
    client: Client,
    lead: Annotated[
        str | None, typer.Argument(help="Id of a stored lead; none: the options are a draft.")
    ] = None,
    title: Annotated[str, typer.Option(help="Draft: one line.")] = "",
    body: Annotated[str, typer.Option(help="Draft: the text.")] = "",
    region: Annotated[str, typer.Option(help="Draft: its region, GB/T 2260.")] = "",
    lat: Annotated[
        float | None, typer.Option(min=-90, max=90, help="Draft: latitude in degrees.")
    ] = None,
    lon: Annotated[
        float | None, typer.Option(min=-180, max=180, help="Draft: longitude in degrees.")
    ] = None,
    urgency: Annotated[
        int, typer.Option(min=0, max=3, help="Draft: 0 (can wait) to 3 (today).")
    ] = 0,
    count: Count = 10,
    topic: Topics = None,
    in_region: Region = "",
    max_km: MaxKm = None,
    diversity: Diversity = None,
    json: Json = False,
) -> None:
    """Show the best members for a lead: a stored one, or a draft that is not stored.

    Example: recsvc match --title 小区门口缺少无障碍坡道 --region 430102
    """
    draft = Lead(
        "", title=title, body=body, region_code=region, latitude=lat, longitude=lon, urgency=urgency
    )
    if (lead is None) == (draft == Lead("")):
        raise typer.BadParameter("give either the id of a stored lead, or --title, --body, a place")
    if (lat is None) != (lon is None):
        raise typer.BadParameter("--lat and --lon go together")
    wanted = Eligibility(tuple(topic or ()), (), in_region, max_km)
    found = client.match(
        draft if lead is None else lead,
        count=count,
        eligibility=wanted,
        diversity=diversity,
        full=True,
    )
    if json:
        show.print_json(found)
        return
    console = Console()
    console.print(show.member_table(found, f"members for {lead or title or 'the draft'}"))
    console.print(Text(show.list_footer(found.info, len(found)), "dim"))


@connected
def explain(
    client: Client,
    member: Annotated[str, typer.Argument(help="Id of the member.")],
    lead: Annotated[str, typer.Argument(help="Id of the lead.")],
    attribution_token: Annotated[
        str, typer.Option("--reply", help="Attribution token: as that reply decided.")
    ] = "",
    json: Json = False,
) -> None:
    """Say why a member is offered a lead, or why not: the filters, and every score term.

    Example: recsvc explain m-17 l-2024-0031
    """
    if attribution_token:
        found = client.explain_reply(attribution_token, member, lead)
    else:
        found = client.explain(member, lead)
    if json:
        show.print_json(found)
    else:
        show.print_explanation(Console(), found)
