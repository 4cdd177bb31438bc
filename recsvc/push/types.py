"""What the planner takes and gives, in plain types: nothing here knows store or transport.

Times are integer microseconds since the Unix epoch; probabilities and propensities are 0 to 1.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field


class PastPush(Struct, frozen=True):
    """A push that was planned before: delivered, or still on its way."""

    member_id: str
    lead_id: str
    time_us: int
    wave: int = 0


class PushHistory(Struct, frozen=True):
    """What the planner has to know beside the snapshot's own log.

    `pushes` are those the log may not hold yet (in the outbox, or delivered a moment ago); one that
    is in the log, too, counts once. A lead in `claimed` is in somebody's hands: it gets no pushes.
    `paused` names members (id -> until when) and organizations that get nothing now.
    """

    pushes: tuple[PastPush, ...] = ()
    claimed: frozenset[str] = frozenset()
    paused_members: dict[str, int] = field(default_factory=dict)
    paused_organizations: frozenset[str] = frozenset()


class Source(StrEnum):
    """How a push came into the plan."""

    OPTIMUM = "OPTIMUM"  # the best plan over the candidate pairs
    REPAIR = "REPAIR"  # no candidate was free: the best of all eligible members who were
    EXPLORED = "EXPLORED"  # drawn by chance, to learn from
    ARRIVAL = "ARRIVAL"  # an urgent lead, the moment it came in


class PushFacts(Struct, frozen=True):
    """What spoke for a push when it was planned.

    `lead_price` and `member_price` are the duals of the plan, in the unit of `PlannedPush.value`:
    what one more member for this lead, and one more push for this member, would have been worth.
    """

    source: Source
    score: float
    candidates_count: int  # members the lead could choose from
    rank: int  # 0-based place among them by probability
    lead_price: float = 0.0
    member_price: float = 0.0
    distance_km: float | None = None


class PlannedPush(Struct, frozen=True):
    """One lead for one member.

    `probability` is the calibrated chance of a claim, `value` what the plan counted for it,
    `propensity` the chance that this policy makes this push (for judging other policies offline).
    """

    member_id: str
    lead_id: str
    wave: int
    probability: float
    value: float
    propensity: float
    facts: PushFacts


class Unserved(StrEnum):
    """Why an open lead gets no push from this plan."""

    NOBODY_ELIGIBLE = "NOBODY_ELIGIBLE"  # the masks leave no member at all
    EVERYBODY_PUSHED = "EVERYBODY_PUSHED"  # all eligible members had it before
    CAPS_USED = "CAPS_USED"  # every eligible member is at a cap, or paused
    HOLDOUT = "HOLDOUT"  # left out on purpose, to measure what pushing does
    IN_HAND = "IN_HAND"  # somebody has claimed it
    WAITING = "WAITING"  # its last wave's deadline has not passed
    NOBODY_TOOK = "NOBODY_TOOK"  # every wave and every level was tried
    PAUSED = "PAUSED"  # its organization is paused


class UnservedLead(Struct, frozen=True):
    """The reason, in a code and in words, and how many members each mask or cap took."""

    reason: Unserved
    text: str  # Chinese
    removed: dict[str, int] = field(default_factory=dict)


class Escalation(Struct, frozen=True):
    """A lead that nobody took goes to the next level's organization."""

    lead_id: str
    from_organization_id: str
    to_organization_id: str
    wave: int


class PlanFigures(Struct, frozen=True):
    """How good a plan is.

    `expected_claimed` is the expected number of leads that somebody takes, sum of 1 - prod(1 - p);
    `objective` what the solver maximised and `bound` what no plan on the candidate pairs exceeds;
    `proved` whether the duals prove the plan optimal. `busiest_share` is the share of the window's
    pushes (a week, this plan included) that go to the busiest 1 % of all active members;
    `busiest_limit` the configured one, or what so few pushes allow: 1,000 pushes to 1,000 of 20,000
    members are as even as can be and give 200 of them, a hundredth, a fifth.
    """

    due_count: int = 0
    servable_count: int = 0
    served_count: int = 0
    pushes_count: int = 0
    members_count: int = 0
    candidate_pairs: int = 0
    counties_servable: int = 0
    counties_served: int = 0
    expected_claimed: float = 0.0
    expected_claims: float = 0.0
    objective: float = 0.0
    bound: float = 0.0
    proved: bool = False
    repaired_count: int = 0
    explored_count: int = 0
    busiest_share: float = 0.0
    busiest_limit: float = 1.0
    candidates_seconds: float = 0.0
    solve_seconds: float = 0.0
    total_seconds: float = 0.0

    @property
    def coverage(self) -> float:
        """Share of the leads with a free eligible member that get a push; 1 when there is none."""
        return self.served_count / self.servable_count if self.servable_count else 1.0


class Plan(Struct, frozen=True):
    """Who gets what now.

    `unserved` holds every open lead that gets nothing, with its reason. `member_prices` (members
    at a cap) and `lead_prices` are the plan's duals. `nobody_took` lists leads past their last wave
    on the last level.
    """

    now_us: int
    seed: int
    model_id: str
    revision: str
    pushes: tuple[PlannedPush, ...] = ()
    unserved: dict[str, UnservedLead] = field(default_factory=dict)
    escalations: tuple[Escalation, ...] = ()
    nobody_took: tuple[str, ...] = ()
    member_prices: dict[str, float] = field(default_factory=dict)
    lead_prices: dict[str, float] = field(default_factory=dict)
    figures: PlanFigures = field(default_factory=PlanFigures)
