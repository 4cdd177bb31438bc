"""ModelService: the models, which is in force, and what the workers serve."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import asyncio

from recsvc.convert import names, queries, values
from recsvc.convert.models import (
    COLLECTION,
    durability_to_proto,
    model_to_proto,
    worker_to_proto,
)
from recsvc.errors import ModelUnusableError, NoPreviousModelError, UnknownModelError
from recsvc.model.registry import ModelInfo
from recsvc.serving.activations import previous_model, rollback_actor
from recsvc.serving.servicers.shared import Context, Service
from recsvc.serving.worker import TenantWorker
from recsvc.v1 import model_pb2 as pb
from recsvc.v1 import model_pb2_grpc

_MAX_REASON_LENGTH = 1_000


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """Lists, switches and takes back models."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        """See the contract."""
        worker = self._service.worker(request.parent, "parent")
        names.parse_tenant(request.parent, worker.tenant)
        size = queries.page_size(
            request.page_size, queries.DEFAULT_PAGE_SIZE, queries.MAX_PAGE_SIZE
        )
        binding = [COLLECTION, worker.tenant]
        begin = 0
        if request.page_token:
            (begin,) = self._service.page_tokens.decode(binding, request.page_token)
        view = await self._service.view(worker, request.min_revision, context)
        newest_first = (await asyncio.to_thread(worker.registry.models))[::-1]
        page = newest_first[begin : begin + size]
        more = begin + size < len(newest_first)
        return pb.ListModelsResponse(
            models=[model_to_proto(m, worker.tenant, _active(worker)) for m in page],
            next_page_token=(
                self._service.page_tokens.encode(binding, begin + size) if more else ""
            ),
            revision=view.revision_text,
        )

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        """See the contract."""
        worker, info = await self._find(request.name)
        view = await self._service.view(worker, request.min_revision, context)
        model = model_to_proto(info, worker.tenant, _active(worker))
        return pb.GetModelResponse(model=model, revision=view.revision_text)

    async def ActivateModel(
        self, request: pb.ActivateModelRequest, context: Context
    ) -> pb.ActivateModelResponse:
        """See the contract."""
        reason = values.text(request.reason, _MAX_REASON_LENGTH, "reason")
        worker, info = await self._find(request.name)
        model, revision = await self._switch(worker, info, self._service.caller.actor, reason)
        return pb.ActivateModelResponse(model=model, revision=revision)

    async def RollbackModel(
        self, request: pb.RollbackModelRequest, context: Context
    ) -> pb.RollbackModelResponse:
        """See the contract."""
        reason = values.text(request.reason, _MAX_REASON_LENGTH, "reason")
        worker = self._service.worker(request.parent, "parent")
        names.parse_tenant(request.parent, worker.tenant)
        previous = previous_model(await worker.store.activations(worker.tenant))
        if previous is None:
            raise NoPreviousModelError("no other model was in force before: activate one by name")
        found = await _models(worker)
        if previous not in found:
            raise ModelUnusableError(
                f"the model before, {previous}, is not in the models folder any more: activate "
                "another by name"
            )
        actor = rollback_actor(self._service.caller.actor)
        model, revision = await self._switch(worker, found[previous], actor, reason)
        return pb.RollbackModelResponse(model=model, revision=revision)

    async def ListWorkers(
        self, request: pb.ListWorkersRequest, context: Context
    ) -> pb.ListWorkersResponse:
        """See the contract."""
        worker = self._service.worker(request.parent, "parent")
        names.parse_tenant(request.parent, worker.tenant)
        alive = await worker.store.workers(worker.tenant)
        durability = await worker.store.check_durability()
        return pb.ListWorkersResponse(
            workers=[worker_to_proto(status, worker.tenant) for status in alive],
            durability=durability_to_proto(durability),
        )

    async def _find(self, name: str) -> tuple[TenantWorker, ModelInfo]:
        worker = self._service.worker(name, "name")
        model_id = names.parse_name(name, worker.tenant, COLLECTION, "name")
        found = await _models(worker)
        if model_id not in found:
            raise UnknownModelError(
                f"there is no model {model_id!r} in the models folder: list them for their names",
                field="name",
                resource=name,
            )
        return worker, found[model_id]

    async def _switch(
        self, worker: TenantWorker, info: ModelInfo, actor: str, reason: str
    ) -> tuple[pb.Model, str]:
        """Puts a model in force that this worker could load."""
        if not await worker.prepare(info.model_id):
            raise ModelUnusableError(
                worker.models.problem_of(info.model_id),
                resource=names.format_name(worker.tenant, COLLECTION, info.model_id),
            )
        revision = await worker.models.activate(info.model_id, actor, reason)
        return model_to_proto(info, worker.tenant, info.model_id), str(revision)


async def _models(worker: TenantWorker) -> dict[str, ModelInfo]:
    return {m.model_id: m for m in await asyncio.to_thread(worker.registry.models)}


def _active(worker: TenantWorker) -> str:
    """The model in force; the live one while there is no record of any."""
    return worker.models.wanted or worker.live_model
