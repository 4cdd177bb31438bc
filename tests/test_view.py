"""A view takes changes in once and in order, and does not claim what another model was promised."""

from __future__ import annotations

import io

import msgspec
import pytest
from tiny_bundle import tiny_bundle

from features.entities import Event, EventKind, Lead, Organization
from recsvc.matching.queries import ListQuery
from recsvc.model.bundle import Bundle
from recsvc.serving.activations import in_force, previous_model, rollback_actor
from recsvc.serving.log import build_logger
from recsvc.serving.view import View
from recsvc.store.codec import SCHEMA_VERSION, encode_entity, encode_event
from recsvc.store.revision import Position, Revision
from recsvc.store.types import Activation, Change, ChangeBatch, ChangeKind


def make_view(bundle: Bundle | None, logs: io.StringIO | None = None) -> View:
    log = build_logger(stream=logs or io.StringIO())
    return View("default", bundle, None, log, lambda: 1_900_000_000_000_000)


def at(number: int) -> Position:
    return Position(1_000, number)


def lead_change(identifier: str, number: int, bucket: int = 0) -> Change:
    data = encode_entity(Lead(identifier, 1, title="道路拥堵")).data
    return Change(ChangeKind.LEAD, identifier, data, bucket, at(number))


def activation(model_id: str, number: int) -> Change:
    data = msgspec.json.encode(Activation(model_id, 1))
    return Change(ChangeKind.ACTIVATION, model_id, data, 0, at(number))


def batch(*changes: Change) -> ChangeBatch:
    reached: dict[int, Position] = {}
    for change in changes:
        reached[change.bucket] = max(change.position, reached.get(change.bucket, at(0)))
    return ChangeBatch(changes, Revision.of(reached))


@pytest.mark.parametrize("with_bundle", [True, False])
async def test_changes_are_taken_in_once(with_bundle: bool) -> None:
    view = make_view(tiny_bundle() if with_bundle else None)
    await view.apply(batch(lead_change("new", 1), lead_change("newer", 2)))
    assert view.catalog.get(Lead, "newer") is not None
    assert view.revision.position(0) == at(2)
    assert view.revision_text == str(view.applied)
    # What lies at or before the revision is an echo, and left out.
    old = Change(ChangeKind.LEAD, "new", encode_entity(Lead("new", 1)).data, 0, at(1))
    await view.apply(batch(old))
    found = view.catalog.get(Lead, "new")
    assert found is not None
    assert found.title == "道路拥堵"


@pytest.mark.parametrize("with_bundle", [True, False])
async def test_holders_are_loaded_whole_and_then_followed(with_bundle: bool) -> None:
    view = make_view(tiny_bundle() if with_bundle else None)
    view.load_holders({"l3": 2, "gone": 1})
    view.load_holders({"l3": 1})
    assert view.holders == {"l3": 1}
    taken = [
        Change(ChangeKind.CLAIM, lead, b'{"v":1,"n":%d}' % count, 0, at(number))
        for number, (lead, count) in enumerate([("l4", 3), ("l3", 0), ("l5", 1)], 1)
    ]
    odd = Change(ChangeKind.CLAIM, "l4", b"{", 0, at(9))
    await view.apply(batch(*taken, odd))
    assert view.holders == {"l4": 3, "l5": 1}


async def test_capacity_left_follows_holders_and_record_in_any_order() -> None:
    view = make_view(tiny_bundle())
    view.load_holders({"later": 2})
    data = encode_entity(Lead("later", 1, claim_capacity=3)).data
    await view.apply(batch(Change(ChangeKind.LEAD, "later", data, 0, at(1))))
    assert view.snapshot is not None

    def left() -> int:
        assert view.snapshot is not None
        columns, row = view.snapshot.leads.locate(view.snapshot.leads.row("later"))
        return int(columns.capacity_left[row])

    assert left() == 1
    await view.apply(batch(Change(ChangeKind.CLAIM, "later", b'{"v":1,"n":3}', 0, at(2))))
    assert left() == 0
    data = encode_entity(Lead("later", 1, claim_capacity=5)).data
    await view.apply(batch(Change(ChangeKind.LEAD, "later", data, 0, at(3))))
    assert left() == 2


async def test_an_event_may_come_before_its_lead() -> None:
    view = make_view(tiny_bundle())
    assert view.pipeline is not None
    event = Event(EventKind.DISMISSED, 1, "m0", "new", "e1")
    change = Change(ChangeKind.EVENT, "m0", encode_event(event)[0], 0, at(1))
    await view.apply(batch(change, lead_change("new", 1, bucket=1)))
    listed = view.pipeline.recommend("m0", ListQuery(count=100))
    assert "new" not in {item.id for item in listed.items}
    assert "new" in {item.id for item in view.pipeline.recommend("m1", ListQuery(100)).items}


async def test_a_view_does_not_claim_an_activation_of_another_model() -> None:
    view = make_view(tiny_bundle("mine"))
    await view.apply(batch(activation("mine", 1), lead_change("a", 2)))
    assert view.revision.position(0) == at(2)
    await view.apply(batch(activation("other", 3), lead_change("b", 4), lead_change("c", 1, 1)))
    assert view.catalog.get(Lead, "b") is not None
    assert (view.revision.position(0), view.revision.position(1)) == (at(2), at(1))
    assert view.applied.position(0) == at(4)
    # It comes back into force, or is told to stand in: it has seen everything.
    await view.apply(batch(activation("mine", 5)))
    assert view.revision.position(0) == at(5)
    await view.apply(batch(activation("other", 6)))
    assert view.revision.position(0) == at(5)
    assert view.serve_instead()
    assert view.revision.position(0) == at(6)
    assert not view.serve_instead()


async def test_what_a_newer_release_wrote_is_left_out_and_said() -> None:
    logs = io.StringIO()
    view = make_view(tiny_bundle(), logs)
    newer = msgspec.json.encode({"v": SCHEMA_VERSION + 1, "f": "00", "d": {}})
    bad = [
        Change(ChangeKind.LEAD, "future", newer, 0, at(1)),
        Change(ChangeKind.EVENT, "m0", b"{", 0, at(2)),
        Change(
            ChangeKind.ORGANIZATION,
            "odd",
            encode_entity(Organization("odd", jurisdiction="NOBODY")).data,
            0,
            at(3),
        ),
    ]
    await view.apply(batch(*bad, lead_change("good", 4)))
    assert view.catalog.get(Lead, "good") is not None
    assert view.catalog.get(Lead, "future") is None
    assert view.revision.position(0) == at(4)
    assert logs.getvalue().count('"record skipped"') == 3


async def test_many_changes_leave_room_for_others() -> None:
    import asyncio

    view = make_view(tiny_bundle())
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await view.apply(batch(*(lead_change(f"n{i}", i) for i in range(1, 201))))
    counting.cancel()
    assert turns >= 6
    assert view.revision.position(0) == at(200)


def test_which_model_was_before() -> None:
    def records(*pairs: tuple[str, bool]) -> list[Activation]:
        return [
            Activation(model, i, rollback_actor("operator") if back else "operator")
            for i, (model, back) in enumerate(pairs)
        ]

    assert in_force([]) == ""
    assert previous_model([]) is None
    assert previous_model(records(("a", False), ("a", False))) is None
    steps = records(("a", False), ("b", False), ("c", False))
    assert (in_force(steps), previous_model(steps)) == ("c", "b")
    # Rolled back once, a second time goes further back, and not to what was left.
    steps = records(("a", False), ("b", False), ("c", False), ("b", True))
    assert (in_force(steps), previous_model(steps)) == ("b", "a")
    steps = records(("a", False), ("b", False), ("a", False))
    assert previous_model(steps) == "b"
