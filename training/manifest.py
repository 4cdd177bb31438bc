"""What a bundle says of itself: where it comes from, and how good the last one was."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from features.errors import DataError
from recsvc.model.bundle import Bundle, Manifest
from recsvc.model.registry import ModelRegistry
from training.config import TrainingConfig
from training.report import TrainingReport
from training.state import Catalog, State

REVISION_FILE = "revision.json"


def manifest_of(
    catalog: Catalog, state: State, config: TrainingConfig, tenant: str, revision: str = ""
) -> Manifest:
    """The manifest of a bundle made now; `revision` is the store's that the data were taken at."""
    events = catalog.data.events
    window = (int(events.time_us[0]), int(events.time_us[-1])) if len(events) else (0, 0)
    now = datetime.now(UTC)
    print_ = hashlib.sha256(
        f"{config.hash} {catalog.space.version} {len(events)} {window}".encode()
    ).hexdigest()
    return Manifest(
        model_id=f"{now:%Y%m%dt%H%M%S%f}"[:-3] + f"-{print_[:6]}",
        tenant=tenant,
        create_time=now.isoformat(timespec="milliseconds"),
        training_window=(_iso(window[0]), _iso(window[1])),
        revision=revision,
        member_count=catalog.shape[0],
        lead_count=catalog.shape[1],
        event_count=len(events),
        vector_width=state.embedding.dimensions_count,
        text_width=catalog.space.text.dimensions,
        feature_space_version=catalog.space.version,
        config_hash=config.hash,
        interest=state.interest,
        embedding=state.embedding.name,
    )


def revision_of(folder: Path) -> str:
    """The store's revision an exported data set was taken at; empty for other data sets.

    Raises DataError when the file cannot be used.
    """
    path = folder / REVISION_FILE
    if not path.is_file():
        return ""
    try:
        return str(msgspec.json.decode(path.read_bytes(), type=dict[str, str])["revision"])
    except (msgspec.MsgspecError, KeyError) as error:
        raise DataError(f"{path}: {error}; export the data set again, or delete it") from error


def published_metrics(registry: ModelRegistry) -> dict[str, Any] | None:
    """The metrics of the bundle published last; None when there is none to compare with."""
    published = registry.published()
    for model in registry.models():
        if model.model_id == published and model.manifest is not None:
            return model.manifest.metrics
    return None


def with_metrics(bundle: Bundle, report: TrainingReport) -> Bundle:
    """The bundle with what the report says of its quality in its manifest."""
    told = report.as_json()
    metrics = {key: told[key] for key in ("primary", "figures", "checks", "calibrated")}
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, metrics=metrics))


def _iso(time_us: int) -> str:
    if not time_us:
        return ""
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="seconds")
