"""`python first_calls.py BUNDLE` prints each kernel that the first calls of a service wait for.

In a process of its own: in one that trained a bundle every kernel is ready.
"""

from __future__ import annotations

import asyncio
import io
import sys
import time
from dataclasses import replace
from pathlib import Path

from numba.core.dispatcher import Dispatcher

from features.entities import Conflict, Event, EventKind, Lead, LeadState, Member, Place
from recsvc.matching.queries import ListQuery, Wanted
from recsvc.model.bundle import read_bundle
from recsvc.serving.log import build_logger
from recsvc.serving.rehearsal import rehearse
from recsvc.serving.view import View
from recsvc.store.codec import Entity, encode_entity, encode_event
from recsvc.store.revision import Position, Revision
from recsvc.store.types import Change, ChangeBatch, ChangeKind

NOW_US = time.time_ns() // 1_000
NEW = Member("new", name="新委员", expertise="道路拥堵", latitude=28.2, longitude=112.9)
LEAD = Lead("fresh", NOW_US, title="道路拥堵", body="请关注停车", latitude=28.2, longitude=112.9)


def ready() -> dict[str, int]:
    """How many types of arguments each kernel of ours is ready for."""
    return {
        f"{kernel.py_func.__module__}.{kernel.py_func.__name__}": len(kernel.signatures)
        for name, module in list(sys.modules.items())
        if name.split(".")[0] in ("recsvc", "features")
        for kernel in vars(module).values()
        if isinstance(kernel, Dispatcher)
    }


def stored(kind: ChangeKind, identifier: str, entity: Entity) -> tuple[ChangeKind, str, bytes]:
    return kind, identifier, encode_entity(entity).data


def happened(kind: EventKind, member: str, lead: str) -> tuple[ChangeKind, str, bytes]:
    event = Event(kind, NOW_US, member, lead, event_id=f"{kind}{member}{lead}")
    return ChangeKind.EVENT, event.event_id, encode_event(event)[0]


def changes() -> list[tuple[ChangeKind, str, bytes]]:
    """What a day brings: members and leads that come and change, recusals, events of all."""
    moved = replace(NEW, places=(Place("HOME", 28.3, 113.0),))
    found = [
        stored(ChangeKind.MEMBER, "new", NEW),
        stored(ChangeKind.MEMBER, "bare", Member("bare")),
        stored(ChangeKind.LEAD, "fresh", LEAD),
        stored(ChangeKind.LEAD, "bare", Lead("bare", NOW_US)),
        stored(ChangeKind.MEMBER, "new", moved),
        stored(ChangeKind.LEAD, "fresh", replace(LEAD, state=LeadState.CLAIMED)),
        stored(ChangeKind.LEAD, "fresh", LEAD),
        stored(ChangeKind.CONFLICT, "c", Conflict("m3", lead_id="l3")),
    ]
    for member in ("m1", "new"):
        for lead in ("l20", "fresh"):
            found += [happened(kind, member, lead) for kind in EventKind]
    return [*found, (ChangeKind.CLAIM, "l21", b'{"v":1,"n":1}')]


def ask(view: View) -> None:
    """Every question, about who is old and new."""
    assert view.pipeline is not None
    assert view.snapshot is not None
    members = [m for m in ("m5", "m1", "new", "bare") if view.snapshot.members.row(m) >= 0]
    leads = [x for x in ("l22", "l20", "fresh", "bare") if view.snapshot.leads.row(x) >= 0]
    near = Wanted(topics=("交通",), region_code="430104", max_distance_km=50.0)
    for query in (ListQuery(), ListQuery(wanted=near), ListQuery(diversity=0.3, with_terms=True)):
        for member in members:
            view.pipeline.recommend(member, query)
        for lead in leads:
            view.pipeline.match(lead, query)
        view.pipeline.match(replace(LEAD, lead_id=""), query)
    view.pipeline.score_pairs([(member, lead) for member in members for lead in leads])
    for member in members:
        view.pipeline.explain(member, leads[-1])


async def main() -> None:
    """Warms up, then lets a day pass."""
    clock = lambda: NOW_US + 1_000_000  # noqa: E731 - a clock is a function
    bundle = read_bundle(Path(sys.argv[1]))
    view = View("default", bundle, None, build_logger(stream=io.StringIO()), clock)
    assert view.snapshot is not None
    rehearse(view.snapshot)
    before = ready()
    ask(view)
    for number, (kind, identifier, data) in enumerate(changes(), 1):
        at = Position(1_000, number)
        change = Change(kind, identifier, data, 0, at)
        await view.apply(ChangeBatch((change,), Revision.of({0: at})))
        if number % 4 == 0:
            ask(view)
    ask(view)
    assert view.snapshot.delta_count > 0
    late = [name for name, count in ready().items() if count > before.get(name, 0)]
    print("\n".join(sorted(late)))


asyncio.run(main())
