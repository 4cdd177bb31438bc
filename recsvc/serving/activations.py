"""Which model is in force, read from the records of its activations (oldest first)."""

from __future__ import annotations

from collections.abc import Sequence

from recsvc.store.types import Activation

_ROLLBACK = "rollback by "


def rollback_actor(actor: str) -> str:
    """How the record of a rollback names who asked for it."""
    return _ROLLBACK + actor


def in_force(activations: Sequence[Activation]) -> str:
    """The model to serve, "" before the first activation."""
    return activations[-1].model_version if activations else ""


def previous_model(activations: Sequence[Activation]) -> str | None:
    """The model that was in force before the present one; None when there is none.

    A rollback takes its model off the history, so that another one goes further back instead of
    returning to the model that was just left.
    """
    history: list[str] = []
    for activation in activations:
        model = activation.model_version
        back = activation.actor.startswith(_ROLLBACK)
        if back and len(history) > 1 and history[-2] == model:
            history.pop()
        elif not history or history[-1] != model:
            history.append(model)
    return history[-2] if len(history) > 1 else None
