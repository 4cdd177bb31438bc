"""What an operator can choose about pushing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct, field

from recsvc.errors import ConfigError


class Caps(Struct, frozen=True, forbid_unknown_fields=True):
    """Most pushes a member gets; their own `weekly_push_limit` lowers the week's."""

    plan: int = 2  # in one plan: one message or digest
    day: int = 3
    week: int = 7
    gap_hours: float = 4.0  # at least so long since the last push
    ignored_after: int = 6  # so many unanswered pushes in `memory_days` halve the week's cap
    memory_days: float = 28.0
    busy_days: float = 7.0  # a dismissal as BUSY pauses so long
    see_less_days: float = 30.0  # "see less" of everything: one push a week for so long


class Waves(Struct, frozen=True, forbid_unknown_fields=True):
    """How a lead widens while nobody takes it; hours are by urgency 0 to 3."""

    least: tuple[int, ...] = (1, 1, 1, 1, 1)  # L of each wave
    most: tuple[int, ...] = (2, 2, 3, 4, 6)  # U of each wave
    deadline_hours: tuple[float, float, float, float] = (48.0, 36.0, 18.0, 9.0)
    escalate: bool = True  # after the last wave, to the organization above


class Worth(Struct, frozen=True, forbid_unknown_fields=True):
    """What a taken lead is worth: by urgency, growing with age to at most `age_most` times."""

    urgency: tuple[float, float, float, float] = (1.0, 1.25, 1.6, 2.0)
    age_most: float = 1.5
    age_half_days: float = 14.0
    attention: float = 0.04  # what a push costs: fewer than U where it would bring less than that


class Holdout(Struct, frozen=True, forbid_unknown_fields=True):
    """Hash-chosen shares: members and leads without pushes, leads whose members chance chooses."""

    members: float = 0.0
    leads: float = 0.0
    chance_leads: float = 0.0
    salt: str = "holdout"  # another salt, another choice


class PushConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about planning. Raises ConfigError when a value cannot be used."""

    seed: int = 0
    candidates: int = 100  # members a lead that are planned over
    caps: Caps = field(default_factory=Caps)
    waves: Waves = field(default_factory=Waves)
    worth: Worth = field(default_factory=Worth)
    holdout: Holdout = field(default_factory=Holdout)
    explore: float = 0.02  # share of leads whose members are drawn by chance
    busiest_share: float = 0.10  # bound on the share of the busiest 1 %; more where pushes are few
    urgent_from: int = 3  # urgency at which a lead is pushed on arrival

    def __post_init__(self) -> None:
        waves, holdout = self.waves, self.holdout
        shares = (self.explore, holdout.members, holdout.leads, holdout.chance_leads)
        sizes = list(zip(waves.least, waves.most, strict=False))
        counts = (self.caps.plan, self.caps.day, self.caps.week)
        for wrong, what in (
            (any(not 0 <= s <= 1 for s in shares), "shares must be 0 to 1"),
            (not 0 < self.busiest_share <= 1, "busiest_share must be above 0, at most 1"),
            (not 1 <= self.candidates <= 2000, "candidates must be 1 to 2000"),
            (
                len(waves.least) != len(waves.most) or not waves.most,
                "waves.least and waves.most need one number for each wave",
            ),
            (any(not 0 <= low <= high for low, high in sizes), "0 <= least <= most in each wave"),
            (any(u < 1 for u in waves.most), "waves.most must be 1 or more"),
            (any(h <= 0 for h in waves.deadline_hours), "deadlines must be above 0"),
            (any(c < 0 for c in counts), "caps cannot be negative"),
            (
                min(*self.worth.urgency, self.worth.attention) < 0,
                "worth and attention cannot be negative",
            ),
            (self.worth.age_most < 1 or self.worth.age_half_days <= 0, "age must add worth"),
        ):
            if wrong:
                raise ConfigError(f"push: {what}")


def read_push_config(file: Path) -> PushConfig:
    """The `[push]` table of a TOML file, or the whole file without one; raises ConfigError."""
    try:
        found = tomllib.loads(file.read_text("utf-8"))
        return msgspec.convert(found.get("push", found), PushConfig)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from error
