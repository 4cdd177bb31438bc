"""Readings: a lead is read once, where it comes in, and what was read is what the fold-in needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.worlds import NOW_US, tiny_bundle

from features.entities import Lead
from recsvc.matching.updates import load_records
from recsvc.model.lead_readings import KeptReadings, joined, read_leads
from recsvc.model.snapshot import Snapshot
from recsvc.serving.servicers.checks import read_new
from recsvc.store.codec import RecordKind, encode_entity
from recsvc.store.types import StoredRecord

LEADS = [
    Lead(f"new{n}", create_time_us=NOW_US, title="路灯不亮", body=f"第{n}盏", region_code="430102")
    for n in range(5)
]


def stored(lead: Lead) -> StoredRecord:
    record = encode_entity(lead)
    return StoredRecord(record.kind, record.id, record.fingerprint, record.data)


def test_what_is_taken_is_what_was_kept_and_only_once() -> None:
    bundle, kept = tiny_bundle(), KeptReadings()
    reading = read_leads(bundle, LEADS)
    kept.keep(LEADS, reading)
    taken = kept.take([LEADS[3], LEADS[1]])
    assert taken is not None
    leads, found, missing = taken
    assert (leads, missing, len(kept)) == ([LEADS[3], LEADS[1]], [], 3)
    np.testing.assert_array_equal(found.vectors, reading.vectors[[3, 1]])
    for mine, whole in zip(found.features, reading.features, strict=True):
        np.testing.assert_array_equal(mine, np.asarray(whole)[[3, 1]])
    assert kept.take([LEADS[3]]) is None


def test_another_content_of_the_same_lead_is_read_anew() -> None:
    kept = KeptReadings()
    kept.keep(LEADS, read_leads(tiny_bundle(), LEADS))
    changed = replace(LEADS[0], title="噪音扰民")
    taken = kept.take([changed, LEADS[1]])
    assert taken is not None
    assert (taken[0], taken[2]) == ([LEADS[1]], [changed])


def test_the_oldest_go_when_there_are_too_many() -> None:
    kept = KeptReadings(most=2)
    kept.keep(LEADS, read_leads(tiny_bundle(), LEADS))
    assert len(kept) == 2
    assert kept.take(LEADS[:3]) is None


def test_parts_read_apart_are_what_is_read_together() -> None:
    bundle = tiny_bundle()
    apart = joined([read_leads(bundle, LEADS[:2]), read_leads(bundle, LEADS[2:])])
    whole = read_leads(bundle, LEADS)
    np.testing.assert_array_equal(apart.vectors, whole.vectors)
    for part, other in zip(apart.features, whole.features, strict=True):
        np.testing.assert_array_equal(part, other)


def test_a_fold_in_reads_no_text_again(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, kept = Snapshot(tiny_bundle()), Snapshot(tiny_bundle())
    records = [stored(lead) for lead in LEADS]
    load_records(plain, RecordKind.LEAD, records)
    kept.readings.keep(LEADS, kept.read_leads(LEADS))

    def refuse(*_: object) -> None:
        raise AssertionError("its text is read a second time")

    monkeypatch.setattr(type(kept.bundle.space), "leads_with_content", refuse)
    load_records(kept, RecordKind.LEAD, records)
    for mine, other in zip(kept.leads.tail, plain.leads.tail, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_without_a_model_nothing_is_read() -> None:
    assert read_new(None, LEADS) is None
