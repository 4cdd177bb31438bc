"""List, switch and take back models; see what the workers serve."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsvc.client import Client, Model
from recsvc.commands import show
from recsvc.commands.connection import connected
from recsvc.commands.recommend import Json

app = typer.Typer(
    no_args_is_help=True,
    help="List, switch and take back models; see what the workers serve.",
    epilog="Example: recsvc models list",
)
ModelId = Annotated[str, typer.Argument(help="Id of the model.")]
Why = Annotated[str, typer.Option(help="Why, for the auditor.")]
_STYLES = {"ACTIVE": "green", "UNUSABLE": "red"}


@app.command("list", epilog="Example: recsvc models list")
@connected
def list_models(client: Client, json: Json = False) -> None:
    """List the models, newest first."""
    models = list(client.list_models())
    if json:
        show.print_json(models)
        return
    table = Table("model", "state", "trained", "members", "leads", "events", "quality")
    for model in models:
        best = model.metrics[0] if model.metrics else None
        table.add_row(
            Text(model.model_id),
            Text(model.state, _STYLES.get(model.state, "")),
            show.moment(model.create_time_us),
            f"{model.member_count:,}",
            f"{model.lead_count:,}",
            f"{model.event_count:,}",
            Text(model.problem or (f"{best.metric} {best.value:.4f}" if best else "")),
        )
    Console().print(table)


@app.command("show", epilog="Example: recsvc models show 20260102t031500000-1f3a9c")
@connected
def show_model(client: Client, model: ModelId, json: Json = False) -> None:
    """Tell what a model was trained on, how good it is, and why it was published."""
    found = client.get_model(model)
    if json:
        show.print_json(found)
    else:
        _print_model(Console(), found)


@app.command("activate", epilog="Example: recsvc models activate 20260102t031500000-1f3a9c")
@connected
def activate(client: Client, model: ModelId, reason: Why = "", json: Json = False) -> None:
    """Put a model in force, on every worker, without failing a request."""
    found = client.activate_model(model, reason=reason)
    _print_switch(found, json)


@app.command("rollback", epilog='Example: recsvc models rollback --reason "worse for counties"')
@connected
def rollback(client: Client, reason: Why = "", json: Json = False) -> None:
    """Put the model back that was in force before."""
    found = client.rollback_model(reason=reason)
    _print_switch(found, json)


@app.command("workers", epilog="Example: recsvc models workers")
@connected
def workers(client: Client, json: Json = False) -> None:
    """Show what each worker serves, and how safe the store is."""
    found = client.list_workers()
    if json:
        show.print_json(found)
        return
    console = Console()
    table = Table("worker", "serving", "model", "revision", "reported", "problem")
    for worker in found.workers:
        table.add_row(
            Text(worker.worker_id),
            Text("yes", "green") if worker.serving else Text("no", "red"),
            Text(worker.model_id),
            Text(worker.revision, overflow="ellipsis", no_wrap=True),
            show.moment(worker.report_time_us),
            Text(worker.problem, "red"),
        )
    console.print(table)
    store = found.durability
    console.print(Text(f"store: {store.server}; {store.loses}", "green" if store.durable else ""))
    for warning in store.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))


def _print_switch(found: Model, json: bool) -> None:
    if json:
        show.print_json(found)
    else:
        Console().print(Text(f"{found.model_id} is in force", "green"))


def _print_model(console: Console, model: Model) -> None:
    table = Table("what", "value", title=Text(f"model {model.model_id}"), title_justify="left")
    window = (model.training_start_time_us, model.training_end_time_us)
    rows = {
        "state": f"{model.state} {model.problem}".rstrip(),
        "trained": show.moment(model.create_time_us),
        "log": " to ".join(map(show.moment, window)) if any(window) else "without times",
        "members / leads / events": (
            f"{model.member_count:,} / {model.lead_count:,} / {model.event_count:,}"
        ),
        "embedding": ", ".join(model.embeddings),
        "claim probability": "calibrated" if model.calibrated else "none",
        "bundle": f"format {model.format_version}, features {model.feature_version}",
        "configuration": model.config_hash,
    }
    for name, value in rows.items():
        table.add_row(name, Text(value))
    for metric in model.metrics:
        interval = f"  n={metric.count:,}" if metric.count else ""
        if metric.interval_low == metric.interval_low:
            interval = f" [{metric.interval_low:.4f}, {metric.interval_high:.4f}]{interval}"
        table.add_row(f"{metric.metric} ({metric.cohort})", f"{metric.value:.4f}{interval}")
    for check in model.checks:
        verdict = Text("passed  ", "green") if check.passed else Text("FAILED  ", "red")
        table.add_row(f"gate: {check.check}", verdict + Text(check.detail))
    console.print(table)
