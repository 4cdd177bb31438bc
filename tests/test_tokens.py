"""Sealed texts, page tokens and attribution tokens: given out, taken back, never altered."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsvc.errors import ConfigError, InvalidAttributionTokenError, InvalidPageTokenError
from recsvc.serving.attribution import MAX_TOKEN_LENGTH, AttributionCodec, Decision, subject_key
from recsvc.serving.paging import PageTokens
from recsvc.serving.tokens import KEY_BYTES, KEY_FILE, Sealer, SealError, load_key
from recsvc.store.revision import Position, Revision

SEALER = Sealer(b"k" * KEY_BYTES)
POSITIONS = st.dictionaries(
    st.integers(0, 1023),
    st.builds(Position, st.integers(1, 2**63), st.integers(0, 2**63)),
    max_size=30,
)
DECISIONS = st.builds(
    Decision,
    model_version=st.text(max_size=128),
    revision=POSITIONS.map(lambda positions: Revision.of(positions)),
    time_us=st.integers(0, 2**52),
    subject=st.text(max_size=128).map(subject_key),
    seed=st.integers(0, 2**32),
    draft=st.booleans(),
)


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_was_sealed_opens_for_its_purpose_only(payload: bytes, purpose: str) -> None:
    text = SEALER.seal(purpose, payload)
    assert SEALER.open(purpose, text) == payload
    with pytest.raises(SealError):
        SEALER.open(purpose + "x", text)
    with pytest.raises(SealError):
        Sealer(b"o" * KEY_BYTES).open(purpose, text)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_any_change_is_seen(payload: bytes, data: st.DataObject) -> None:
    text = SEALER.seal("page", payload)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_=é"))
    altered = text[:place] + letter + text[place + 1 :]
    if altered != text:
        with pytest.raises(SealError):
            SEALER.open("page", altered)


@given(DECISIONS)
def test_a_token_brings_its_decision_back(decision: Decision) -> None:
    codec = AttributionCodec(SEALER, "hn")
    token = codec.encode(decision)
    assert len(token) <= MAX_TOKEN_LENGTH or len(decision.model_version.encode()) > 200
    found = codec.decode(token)
    if found.whole_revision:
        assert found == decision
    else:
        assert found.revision == Revision()
        assert found.time_us == decision.time_us


def test_a_token_of_another_tenant_is_none() -> None:
    decision = Decision("m", Revision(), 1, 2)
    token = AttributionCodec(SEALER, "hn").encode(decision)
    with pytest.raises(InvalidAttributionTokenError):
        AttributionCodec(SEALER, "gd").decode(token)


def test_a_revision_of_eight_buckets_fits() -> None:
    now_ms = 1_800_000_000_000
    revision = Revision.of(dict.fromkeys(range(8), Position(now_ms - 400 * 86400000, 999)))
    decision = Decision("20261122T044512123-abcdef012345", revision, now_ms * 1000, 2**62)
    codec = AttributionCodec(SEALER, "default")
    assert codec.decode(codec.encode(decision)) == decision


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3), st.text(max_size=20))
def test_page_tokens_hold_to_their_query(numbers: list[int], binding: str) -> None:
    tokens = PageTokens(SEALER)
    token = tokens.encode(["list", binding], *numbers)
    assert tokens.decode(["list", binding], token) == tuple(numbers)
    for wrong in (token[:-1], "", "2", token + "A"):
        with pytest.raises(InvalidPageTokenError):
            tokens.decode(["list", binding], wrong)
    with pytest.raises(InvalidPageTokenError, match="another query"):
        tokens.decode(["list", binding + "x"], token)


def test_the_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    keys: list[bytes] = []
    makers = [threading.Thread(target=lambda: keys.append(load_key(tmp_path))) for _ in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(set(keys)) == 1
    assert len(keys[0]) == KEY_BYTES
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o077 == 0
    assert [p.name for p in tmp_path.iterdir()] == [KEY_FILE]


def test_a_key_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(ConfigError, match="does not hold 32 bytes"):
        load_key(tmp_path)
    with pytest.raises(ConfigError, match="cannot be used"):
        load_key(tmp_path / KEY_FILE)
