"""The quality benchmark: splits that leak nothing, measures by hand, verdicts, peers' jobs."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from benchmarks.quality.alone import Vectors
from benchmarks.quality.asked import why_not
from benchmarks.quality.compare import PAID, Contender, compare
from benchmarks.quality.folders import id_hashes
from benchmarks.quality.jobs import Jobs
from benchmarks.quality.musts import Must, judge, read_musts, with_verdicts
from benchmarks.quality.peers import names as peer_names
from benchmarks.quality.peers.base import answer_with, pair_scores
from benchmarks.quality.peers.content import TfidfNearest, TfidfProfile
from benchmarks.quality.peers.job import Job, Reply, load_job, load_reply, save
from benchmarks.quality.peers.places import NearestAndPopular
from benchmarks.quality.peers.rates import AnswerRate
from benchmarks.quality.plans import best_of_members, capped_plan, share_bounds
from benchmarks.quality.protocols import Protocols
from benchmarks.quality.questions import Answer, Lists, Matches, Pairs
from benchmarks.quality.rows import SERVED, Row
from benchmarks.quality.samples import value
from benchmarks.quality.slices import UNTOUCHED, history_slices, parts_of, untouched_slice
from benchmarks.quality.tasks import Task
from features.events import EventLog
from training.logs import read_dataset

DAY = "2024-01-01T00:00:00Z"


def _write(folder: Path, kinds: str, *, times: bool = False) -> Path:
    """Twelve members and thirty leads; every member has six events of each kind."""
    folder.mkdir()
    members = [f"m{i}" for i in range(12)]
    leads = [f"l{i}" for i in range(30)]
    pl.DataFrame({"member_id": members, "expertise": ["road water"] * 12}).write_csv(
        folder / "members.csv"
    )
    pl.DataFrame(
        {
            "lead_id": leads,
            "create_time": [DAY] * 30,
            "body": [f"road w{i}" for i in range(30)],
            "latitude": [28.0 + i / 100 for i in range(30)],
            "longitude": [112.0] * 30,
        }
    ).write_csv(folder / "leads.csv")
    rows = [
        (m, leads[(i * 5 + j * 7) % 30], kind, f"2024-01-{j + 1:02}T00:00:00Z" if times else DAY)
        for i, m in enumerate(members)
        for j in range(6)
        for kind in kinds.split()
    ]
    names = ["member_id", "lead_id", "kind", "time"]
    pl.DataFrame(rows, schema=names, orient="row").write_csv(folder / "events.csv")
    return folder


def _keys(events: EventLog) -> set[tuple[int, int]]:
    return set(zip(events.member.tolist(), events.lead.tolist(), strict=True))


def test_pairs_that_are_asked_are_not_in_the_training_part(tmp_path: Path) -> None:
    folder = _write(tmp_path / "pushes", "PUSHED CLAIMED")
    tasks = list(Protocols(folder, tmp_path / "work", 3).tasks())
    assert [task.split for task in tasks] == ["new leads", "new pairs"]
    for task in tasks:
        pairs = task.questions[0]
        assert isinstance(pairs, Pairs)
        assert len(pairs.lead) > 0
        known = read_dataset(task.folder)
        assert known.lead_ids.ids == task.full.lead_ids.ids
        asked = set(zip(pairs.member.tolist(), pairs.lead.tolist(), strict=True))
        assert not asked & _keys(known.events)
        assert len(asked) * 2 + len(known.events) == len(task.full.events)
    new_leads = tasks[0].questions[0]
    assert isinstance(new_leads, Pairs)
    assert not np.isin(new_leads.lead, read_dataset(tasks[0].folder).events.lead).any()


def test_with_times_the_end_of_the_log_is_asked(tmp_path: Path) -> None:
    folder = _write(tmp_path / "claims", "CLAIMED", times=True)
    (task,) = Protocols(folder, tmp_path / "work", 3).tasks()
    assert task.split == "later"
    assert task.train.time_us.max() < task.full.events.time_us.max()
    (question,) = task.questions
    assert isinstance(question, Lists)
    assert question.as_of_us == task.train.time_us.max()
    assert question.truth is not None
    assert question.truth.nnz == len(task.full.events) - len(task.train)


def test_a_lead_held_out_of_authors_is_in_no_table(tmp_path: Path) -> None:
    folder = _write(tmp_path / "authors", "AUTHORED")
    (task,) = Protocols(folder, tmp_path / "work", 3).tasks()
    (question,) = task.questions
    assert isinstance(question, Matches)
    known = read_dataset(task.folder)
    held = {task.full.lead_ids.ids[row] for row in question.lead_rows.tolist()}
    assert len(question.drafts) == len(held) > 5
    assert not held & set(known.lead_ids.ids)
    assert all(draft.lead_id == "" and draft.author_id == "" for draft in question.drafts)


def test_truth_files_name_what_is_asked(tmp_path: Path) -> None:
    folder = _write(tmp_path / "split", "CLAIMED")
    pl.DataFrame({"member_id": ["m1", "m1"], "lead_id": ["l0", "l3"]}).write_csv(folder / "t.csv")
    (folder / "truth.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes()))
    (task,) = Protocols(folder, tmp_path / "work", 3).tasks()
    (question,) = task.questions
    assert isinstance(question, Lists)
    assert question.asked.tolist() == [1]
    answer = Answer(np.array([[3, 9, *range(10, 28)]], np.int32))
    found = {name: value(sample) for name, sample in question.measure(answer).items()}
    assert found["recall@20"] == pytest.approx(0.5)
    assert found["ndcg@20"] == pytest.approx(1.0 / (1.0 + 1.0 / np.log2(3.0)))
    assert not (task.folder / "truth.csv.gz").exists()


def test_the_oracles_share_counts_what_a_list_would_bring() -> None:
    gains = np.array([[0.5, 0.1, 0.4], [0.0, 0.2, 0.1]])
    question = Lists(
        "RecommendLeads",
        np.array([0, 1], np.int32),
        2,
        sparse.csr_matrix((2, 9)),
        0,
        gains=gains,
        candidates=np.array([4, 6, 8], np.int32),
    )
    best = question.measure(Answer(np.array([[4, 8], [6, 8]], np.int32)))["oracle share@2"]
    assert value(best) == pytest.approx(1.0)
    short = question.measure(Answer(np.array([[6, -1], [4, 6]], np.int32)))["oracle share@2"]
    assert value(short) == pytest.approx((0.1 + 0.2) / (0.9 + 0.3))


def test_a_plan_keeps_the_cap() -> None:
    rows = np.tile(np.arange(300, dtype=np.int32), (40, 1))
    plan = capped_plan(rows, 300, pushes=2, member_cap=5)
    assert np.bincount(plan.ravel()).tolist() == [5] * 16
    assert all(len(set(own)) == 2 for own in plan.tolist())
    short = capped_plan(rows[:, :2], 300, pushes=1, member_cap=5)
    assert (short >= 0).sum() == 10  # two members with room for five each
    kept = best_of_members(np.array([1, 1, 2, 1]), np.array([0.1, 0.9, 0.0, 0.5]), 2)
    assert kept.tolist() == [False, True, True, True]


def test_what_the_top_can_get_lies_between_even_and_the_cap() -> None:
    assert share_bounds(300, 40, 5) == pytest.approx((3 / 40, 15 / 40))
    assert share_bounds(100, 3, 5) == pytest.approx((1 / 3, 1.0))
    assert share_bounds(100, 5_000, 5) == pytest.approx((0.01, 0.01))


def test_a_plan_is_measured_by_where_it_falls_and_what_comes_of_it() -> None:
    gains = np.array([[0.5, 0.1, 0.0], [0.4, 0.2, 0.3]])
    logged = sparse.csr_matrix(np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 2.0]]))
    question = Matches(
        "MatchMembers", np.array([4, 7], np.int32), 3, 0, 3, gains=gains, logged=logged,
        pushes=1, member_cap=1,
    )  # fmt: skip
    oracle = Answer(np.argsort(-gains, axis=1).astype(np.int32))
    found = {name: value(sample) for name, sample in question.measure(oracle).items()}
    assert found["oracle share of a plan, cap 1"] == pytest.approx(1.0)
    other = Answer(np.array([[1, 0, 2], [2, 0, 1]], np.int32))
    found = {name: value(sample) for name, sample in question.measure(other).items()}
    assert found["oracle share of a plan, cap 1"] == pytest.approx((0.1 + 0.3) / (0.5 + 0.3))
    assert found["claims a logged push, cap 1"] == pytest.approx(1.0)
    assert found["pushes to top 1 %, cap 1"] == pytest.approx(0.5)


def test_slices_are_by_what_was_known_of_a_member() -> None:
    events = EventLog.empty()
    columns = {name: np.zeros(5) for name in events.to_arrays()}
    log = EventLog.from_columns(columns | {"member": np.array([0, 0, 0, 0, 1])})
    found = history_slices(log, np.array([0, 1, 2], np.int32))
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "0 events": [False, False, True],
        "1-3 events": [False, True, False],
        "4-20 events": [True, False, False],
    }


def test_each_part_is_measured_on_its_own() -> None:
    truth = sparse.csr_matrix(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], np.float32))
    question = Lists(
        "RecommendLeads",
        np.array([0, 1], np.int32),
        1,
        sparse.csr_matrix((2, 3)),
        0,
        truth=truth,
        cuts=(1,),
        slices={"second": np.array([False, True])},
        lead_slices={UNTOUCHED: np.array([True, False, False])},
    )
    answer = Answer(np.array([[0], [0]], np.int32))
    found = {
        part.name: value(part.question.measure(part.of(answer))["recall@1"])
        for part in parts_of(question)
    }
    assert value(question.measure(answer)["recall@1"]) == pytest.approx(0.25)
    assert found == {"second": 0.0, UNTOUCHED: 1.0}
    log = EventLog.from_columns(
        {name: np.zeros(1) for name in EventLog.empty().to_arrays()} | {"lead": np.array([3])}
    )
    assert untouched_slice(log, np.array([3, 5], np.int32))[UNTOUCHED].tolist() == [False, True]
    assert untouched_slice(log, np.array([4, 5], np.int32)) == {}


def test_a_gain_that_a_part_pays_for_is_told(task: Task) -> None:
    rng = np.random.default_rng(0)
    label = (rng.random(4_000) < 0.3).astype(np.float32)
    member = np.arange(4_000, dtype=np.int32) % 200
    few = member >= 170
    pairs = Pairs("q", member, member, label, 0, 1, slices={"few": few, "many": ~few})
    good = label + rng.normal(0.0, 1.0, 4_000)
    peer = label + rng.normal(0.0, 2.0, 4_000)
    ours = np.where(few, rng.random(4_000), good)
    contenders = [
        Contender(SERVED, "served", Answer(scores=ours)),
        Contender("peer", "peer", Answer(scores=peer)),
    ]
    rows = [row for row in compare(task, pairs, contenders, 1) if row.measure == "auc"]
    told = {row.part: row for row in rows if row.system == SERVED}
    assert told["all"].difference > 0.0
    assert told["few"].note == PAID
    assert told["many"].note == ""
    assert told["few"].count + told["many"].count == told["all"].count


def test_hashes_depend_on_id_and_seed_alone() -> None:
    first = id_hashes(["a", "b", "c"], 1)
    assert id_hashes(["c", "a"], 1).tolist() == [first[2], first[0]]
    assert (id_hashes(["a", "b", "c"], 2) != first).all()
    assert abs(id_hashes([str(i) for i in range(4_000)], 1).mean() - 0.5) < 0.02


@pytest.fixture
def task(tmp_path: Path) -> Task:
    folder = _write(tmp_path / "pushes", "PUSHED CLAIMED")
    return next(iter(Protocols(folder, tmp_path / "work", 3).tasks()))


def test_jobs_and_replies_come_back_as_they_were_written(task: Task, tmp_path: Path) -> None:
    job = Jobs(task, 1).of(task.questions[0])
    save(job, tmp_path / "job.npz")
    back = load_job(tmp_path / "job.npz")
    assert back.question == "pairs"
    assert back.fold_leads
    assert (back.lead_content != job.lead_content).nnz == 0
    np.testing.assert_array_equal(back.pair_lead, job.pair_lead)
    reply = Reply(np.zeros((0, 3), np.int32), np.array([0.5], np.float32), 1.5, 20.0)
    save(reply, tmp_path / "reply.npz")
    assert load_reply(tmp_path / "reply.npz").seconds == 1.5


def test_jobs_hold_nothing_of_what_is_asked(task: Task) -> None:
    job = Jobs(task, 1).of(task.questions[0])
    assert not np.isin(job.claim_lead, job.pair_lead).any()
    assert not np.isin(job.exposed_lead, job.pair_lead).any()
    assert job.untouched()[job.pair_lead].all()


def _toy_job() -> Job:
    """Three members, four leads in two subjects; member 0 took lead 0, member 1 lead 2."""
    content = sparse.csr_matrix(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1]], np.float32))
    none = np.zeros(0, np.int32)
    nowhere = np.full(3, np.nan, np.float32)
    return Job(
        question="lists",
        claim_member=np.array([0, 1], np.int32),
        claim_lead=np.array([0, 2], np.int32),
        claim_count=np.ones(2, np.float32),
        exposed_member=np.array([0, 0, 1, 1], np.int32),
        exposed_lead=np.array([0, 1, 2, 3], np.int32),
        exposed_label=np.array([1, 1, 1, 0], np.float32),
        exposed_us=np.zeros(4, np.int64),
        lead_content=content,
        member_content=sparse.csr_matrix((3, 3), dtype=np.float32),
        lead_latitude=np.radians(np.array([28.0, 28.001, 29.0, 29.001], np.float32)),
        lead_longitude=np.radians(np.full(4, 112.0, np.float32)),
        member_latitude=nowhere,
        member_longitude=nowhere,
        lead_us=np.zeros(4, np.int64),
        as_of_us=0,
        fold_leads=True,
        asked=np.array([0, 1], np.int32),
        candidates=np.array([1, 3], np.int32),
        excluded=sparse.csr_matrix((2, 4), dtype=np.float32),
        pair_member=none,
        pair_lead=none,
        k=3,
        seed=1,
        threads=1,
    )


@pytest.mark.parametrize(("count", "k"), [(5_000, 20), (3_000, 900), (30, 40)])
def test_lists_hold_the_best_of_many_leads_and_nothing_unknown(count: int, k: int) -> None:
    rng = np.random.default_rng(3)
    leads = rng.integers(0, 400, (count, 1)).astype(np.float32)  # many ties
    members = np.array([[1.0], [-1.0]], np.float32)
    leads[7] = np.nan
    job = replace(
        _toy_job(),
        candidates=np.arange(count, dtype=np.int32),
        excluded=sparse.csr_matrix((2, count), dtype=np.float32),
        k=k,
    )
    rows, _ = answer_with(Vectors(members, leads), job)
    known = np.delete(leads[:, 0], 7)
    for found, sign in zip(rows, members[:, 0], strict=True):
        own = found[found >= 0]
        assert 7 not in own
        assert len(set(own.tolist())) == len(own) == min(k, len(known))
        np.testing.assert_array_equal(sign * leads[own, 0], -np.sort(-sign * known)[: len(own)])


@pytest.mark.parametrize("peer", [TfidfNearest(), TfidfProfile(), NearestAndPopular()])
def test_peers_find_what_is_like_or_near_what_a_member_took(peer: TfidfNearest) -> None:
    job = _toy_job()
    peer.fit(job)
    rows, _ = answer_with(peer, job)
    assert rows.tolist() == [[1, 3, -1], [3, 1, -1]]
    forbidden = sparse.csr_matrix(([1.0], ([0], [1])), shape=(2, 4))
    rows, _ = answer_with(peer, replace(job, excluded=forbidden))
    assert rows[0].tolist() == [3, -1, -1]


def test_the_answer_rate_is_smoothed_and_the_same_for_all_leads() -> None:
    job = _toy_job()
    peer = AnswerRate()
    peer.fit(job)
    members = np.array([0, 1, 2, 0], np.int32)
    scores = pair_scores(peer, members, np.array([3, 3, 1, 1], np.int32))
    mean = 0.75
    expected = [(2 + 5 * mean) / 7, (1 + 5 * mean) / 7, mean, (2 + 5 * mean) / 7]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_peers_are_asked_what_they_can_know(task: Task) -> None:
    pairs, plan = task.questions
    job = Jobs(task, 1).of(pairs)
    asked = {name for name in peer_names.ALL if not why_not(name, job, pairs)}
    assert asked == {
        "implicit ALS", "implicit BPR", "LightFM hybrid", "TF-IDF profile", "TF-IDF nearest text",
        "answer rate", "boosted trees", "nearest and popular",
    }  # fmt: skip
    costly = {name for name in peer_names.ALL if not why_not(name, job, plan)}
    assert costly == {"TF-IDF profile", "answer rate", "boosted trees", "nearest and popular"}
    touched = replace(job, fold_leads=False)
    assert not any(why_not(name, touched, pairs) for name in peer_names.ALL)
    bare = replace(
        touched,
        lead_content=sparse.csr_matrix((30, 0)),
        lead_latitude=np.full(30, np.nan, np.float32),
        exposed_lead=job.exposed_lead[:0],
    )
    asked = {name for name in peer_names.ALL if not why_not(name, bare, pairs)}
    assert asked == set(peer_names.OF_CLAIMS) - {"EASE + nearest"}


def test_rows_name_the_best_peer_and_the_paired_difference(task: Task) -> None:
    pairs = task.questions[0]
    assert isinstance(pairs, Pairs)
    noise = np.random.default_rng(1).random(len(pairs.label))
    pairs = replace(pairs, label=(noise > 0.5).astype(np.float32))
    contenders = [
        Contender(SERVED, "served", Answer(scores=noise, probabilities=noise)),
        Contender("bad", "peer", Answer(scores=-noise)),
        Contender("same", "peer", Answer(scores=noise)),
        Contender("absent", "peer", Answer(note="does not fit")),
    ]
    rows = compare(task, pairs, contenders, 1, rivals=("bad",))
    auc = next(r for r in rows if r.system == SERVED and r.measure == "auc")
    assert (auc.value, auc.best_peer, auc.difference) == (1.0, "same", 0.0)
    assert not auc.is_significant
    bad = next(r for r in rows if r.system == "bad" and r.measure == "auc")
    assert bad.difference == -1.0
    assert bad.is_significant
    apart = next(r for r in rows if r.system == f"{SERVED} - bad" and r.measure == "auc")
    assert apart.value == 1.0
    assert next(r for r in rows if r.system == "absent").note == "does not fit"
    assert json.dumps([row.as_json() for row in rows])


def _row(**changes: object) -> Row:
    base = Row("set", "split", "q", SERVED, "served", "recall", 0.5, 0.45, 0.55)
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("must", "row", "holds"),
    [
        (Must("set", "*", "recall", must=0.5), _row(), True),
        (Must("set", "split", "recall", must=0.51), _row(), False),
        (Must("set", "split", "recall", must=0.51, lower=True), _row(), True),
        (Must("set", "split", "recall", must=0.5), _row(value=float("nan")), False),
        (Must("set", "split", "recall", above_best_peer=True), _row(difference_low=0.01), True),
        (Must("set", "split", "recall", above_best_peer=True), _row(difference_low=-0.01), False),
        (Must("set", "split", "recall", above_best_peer=True), _row(), False),
        (Must("set", "other", "recall", must=0.1), _row(), None),
    ],
)
def test_verdicts(must: Must, row: Row, holds: bool | None) -> None:
    (verdict,) = judge([row], [must])
    assert verdict.holds is holds


def test_a_named_rival_is_judged_by_its_own_difference() -> None:
    must = Must("set", "split", "recall", above="text")
    apart = _row(system=f"{SERVED} - text", kind="difference", low=0.02, high=0.1, value=0.05)
    assert judge([_row(), apart], [must])[0].holds
    assert judge([_row(), replace(apart, low=-0.02)], [must])[0].holds is False


def test_the_short_form_fails_when_the_whole_interval_is_worse_than_recorded() -> None:
    must = Must("set", "split", "recall", must=0.9, quick=0.54)
    assert judge([_row()], [must], quick=True)[0].holds
    assert judge([_row()], [replace(must, quick=0.56)], quick=True)[0].holds is False
    assert judge([_row()], [replace(must, quick=None)], quick=True) == []


def test_rows_tell_what_was_asked_of_them() -> None:
    musts = read_musts()
    assert {must.data for must in musts} >= {"gowalla", "bytecup2016", "province"}
    must = Must("set", "split", "recall", must=0.4, aim=0.6)
    (row,) = with_verdicts([_row()], judge([_row()], [must]))
    assert (row.must, row.aim, row.verdict) == ("≥ 0.4", "≥ 0.6", "holds")
