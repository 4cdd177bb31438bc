"""The catalog in memory: two layers that read as one, whatever was put, deleted or put again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import LEAD_COUNT, tiny_bundle

from features.entities import Conflict, Lead, Member, Organization
from recsvc.serving.catalog import FIRST, Catalog
from recsvc.store.codec import RecordKind, encode_entity, encode_tombstone, entity_id

IDS = st.sampled_from([f"l{i}" for i in range(30)] + ["x", "y", "z"])
STEPS = st.lists(st.tuples(IDS, st.none() | st.text(max_size=3)), max_size=40)


def put(catalog: Catalog, lead: Lead) -> None:
    catalog.put(RecordKind.LEAD, lead.lead_id, encode_entity(lead).data)


def all_leads(catalog: Catalog, page_size: int) -> list[Lead]:
    found: list[Lead] = []
    after: int | None = FIRST
    while after is not None:
        page, after = catalog.page(Lead, after, page_size, lambda _: True)
        assert len(page) <= page_size
        found += page
    return found


@given(STEPS, st.booleans(), st.integers(1, 40))
def test_two_layers_read_as_one(
    steps: list[tuple[str, str | None]], with_bundle: bool, page_size: int
) -> None:
    bundle = tiny_bundle() if with_bundle else None
    catalog = Catalog(bundle)
    expected = {lead.lead_id: lead for lead in all_leads(catalog, 100)}
    assert len(expected) == (LEAD_COUNT if with_bundle else 0)
    for identifier, title in steps:
        if title is None:
            catalog.put(RecordKind.LEAD, identifier, encode_tombstone(1))
            expected.pop(identifier, None)
        else:
            lead = Lead(identifier, 1, title=title)
            put(catalog, lead)
            expected[identifier] = lead
    found = all_leads(catalog, page_size)
    assert {lead.lead_id: lead for lead in found} == expected
    assert len(found) == len(expected)
    for identifier in ["l0", "x", "none"]:
        assert catalog.get(Lead, identifier) == expected.get(identifier)
        assert catalog.has(RecordKind.LEAD, identifier) == (identifier in expected)


def test_a_record_equal_to_the_bundles_is_not_kept_twice() -> None:
    catalog = Catalog(tiny_bundle())
    own = catalog.get(Lead, "l3")
    assert own is not None
    put(catalog, own)
    assert not catalog.layer(RecordKind.LEAD).is_overlaid("l3")
    put(catalog, replace(own, title="别的"))
    put(catalog, own)
    assert catalog.layer(RecordKind.LEAD).is_overlaid("l3")
    assert catalog.get(Lead, "l3") == own


def test_what_is_put_between_two_pages_comes_in_its_place() -> None:
    catalog = Catalog(tiny_bundle())
    first, after = catalog.page(Lead, FIRST, 10, lambda _: True)
    assert after is not None
    put(catalog, Lead("new", 1))
    rest, _ = catalog.page(Lead, after, 1_000, lambda _: True)
    names = [lead.lead_id for lead in [*first, *rest]]
    assert len(names) == len(set(names))
    whole = [lead.lead_id for lead in all_leads(catalog, 7)]
    assert [n for n in whole if n != "new"] == [n for n in names if n != "new"]


def test_a_page_looks_at_so_many_records_at_most() -> None:
    catalog = Catalog(tiny_bundle())
    page, after = catalog.page(Lead, FIRST, 10, lambda _: False, most_scanned=5)
    assert page == []
    assert after is not None
    page, after = catalog.page(Lead, after, 10, lambda _: False, most_scanned=100)
    assert (page, after) == ([], None)


def test_conflicts_and_organizations() -> None:
    catalog = Catalog(tiny_bundle())
    new = Conflict("m2", author_id="a")
    catalog.put(RecordKind.CONFLICT, entity_id(new), encode_entity(new).data)
    other = Conflict("m20", author_id="a")
    catalog.put(RecordKind.CONFLICT, entity_id(other), encode_entity(other).data)
    assert {catalog.get(Conflict, i) for i in catalog.conflicts_of("m2")} == {
        new,
        Conflict("m2", lead_id="l2", reason="近亲属"),
    }
    catalog.put(RecordKind.ORGANIZATION, "city", encode_tombstone(1))
    assert catalog.organizations() == [Organization("county", "岳麓区政协", "city", 3)]
    assert catalog.get(Member, "m1") is not None
