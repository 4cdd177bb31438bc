"""What keeps a tenant's log: events archived for training, the stream trimmed behind the readers.

Every worker runs a keeper; a lease in the store lets one of them archive at a time.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from features.errors import RecsvcError
from recsvc.model.registry import ModelRegistry
from recsvc.store.archive import ArchiveFolder, Archiver, trim_stream
from recsvc.store.protocol import Store
from recsvc.store.revision import Revision

TRIM_SECONDS = 600.0
RETRY_SECONDS = 30.0


def archive_folder(data_folder: Path, tenant: str) -> Path:
    """Where a tenant's events are archived."""
    return data_folder / "archive" / tenant


class Keeper:
    """Archives and trims until it is closed; a failure is logged and tried again."""

    def __init__(
        self,
        store: Store,
        registry: ModelRegistry,
        tenant: str,
        folder: Path,
        owner: str,
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._registry = registry
        self._tenant = tenant
        self._folder = folder
        self._archiver = Archiver(store, tenant, folder, owner=owner)
        self._log = log.bind(tenant=tenant)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins."""
        self._tasks = [
            asyncio.create_task(self._archive(), name="archive"),
            asyncio.create_task(self._trim(), name="trim"),
        ]

    async def aclose(self) -> None:
        """Ends; what waits is archived first, if the store can be reached."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _archive(self) -> None:
        while True:
            try:
                await self._archiver.run()
            except (RecsvcError, OSError) as error:
                self._log.error("events are not archived", problem=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(TRIM_SECONDS)
            try:
                await self.trim()
            except (RecsvcError, OSError) as error:
                self._log.warning("the change stream is not trimmed", problem=str(error))

    async def trim(self) -> int:
        """Trims the stream to where archive, workers and all kept bundles have come."""
        if not self._folder.is_dir():
            return 0
        bundles = [
            Revision.parse(model.manifest.revision)
            for model in self._registry.models()
            if model.manifest is not None
        ]
        archive = ArchiveFolder(self._folder)
        return await trim_stream(self._store, self._tenant, archive, bundles)
