"""The command line: what each command asks, shows, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_service import Script, serving
from rich.cells import cell_len

from features.entities import Conflict, Lead, Member, Organization
from recsvc.cli import main
from recsvc.convert.leads import lead_to_proto
from recsvc.convert.members import member_to_proto
from recsvc.errors import RoleNotAllowedError, UnknownMemberError
from recsvc.v1 import catalog_pb2, errors_pb2, model_pb2
from recsvc.v1 import recommendation_pb2 as pb
from training.cli_import import single_targets
from training.logs import write_dataset

Capture = pytest.CaptureFixture[str]
TITLES = ("地铁口缺少无障碍坡道", "Street light")


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def service(script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("COLUMNS", "160")
    with serving(script) as address:
        monkeypatch.setenv("RECSVC_ADDRESS", address)
        yield address


def run(*arguments: str) -> int:
    """The exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    code = ended.value.code
    assert isinstance(code, int)
    return code


def lead_reply() -> pb.RecommendLeadsResponse:
    reasons = [
        pb.Reason(code=pb.REASON_CODE_PLACE, weight=0.5, text="距您的工作室约1.2公里"),
        pb.Reason(code=pb.REASON_CODE_EXPERTISE, weight=0.25, text="与您的专业相关"),
    ]
    return pb.RecommendLeadsResponse(
        leads=[
            pb.RecommendedLead(
                lead=f"tenants/default/leads/l{i}",
                position=i,
                score=1.25 - i,
                claim_probability=0.125 if i == 0 else None,
                reasons=reasons,
                resource=lead_to_proto(Lead(f"l{i}", title=title), "default"),
            )
            for i, title in enumerate(TITLES)
        ],
        model_version="v1",
        serving_mode=pb.SERVING_MODE_PERSONALIZED,
        eligible_count=1_234,
        removed=[pb.RemovedCount(reason=pb.FILTER_REASON_AUTHOR, count=4)],
    )


def test_recommend_shows_leads_probabilities_and_reasons(
    service: str, script: Script, capsys: Capture
) -> None:
    script.on("RecommendLeads", lead_reply())
    arguments = ("--count", "2", "--topic", "交通", "--topic", "城建", "--in-region", "43")
    assert run("recommend", "m1", *arguments, "--max-km", "5", "--diversity", "0.5") == 0
    sent = script.last("RecommendLeads")
    assert (sent.member, sent.page_size) == ("tenants/default/members/m1", 2)
    assert (list(sent.eligibility.topics), sent.eligibility.region_code) == (["交通", "城建"], "43")
    assert (sent.eligibility.max_distance_km, sent.diversity) == (5.0, 0.5)
    shown = capsys.readouterr().out
    for text in (TITLES[0], "1.250", "12.5%", "–", "距您的工作室约1.2公里；与您的专业相关"):
        assert text in shown
    assert "2 of 1,234 eligible · personalized · model v1 · filtered out: AUTHOR 4" in shown
    rows = [line for line in shown.splitlines() if line.startswith("│")]
    assert len(rows) == 2
    # Chinese characters are two columns wide: the columns' borders must still meet.
    borders = [[cell_len(row[:i]) for i, c in enumerate(row) if c == "│"] for row in rows]
    assert borders[0] == borders[1]


def test_recommend_as_json(service: str, script: Script, capsys: Capture) -> None:
    script.on("RecommendLeads", lead_reply())
    assert run("recommend", "m1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["leads"][0]["lead"]["title"] == TITLES[0]
    assert found["leads"][0]["lead"]["state"] == "OPEN"
    assert [lead["claim_probability"] for lead in found["leads"]] == [0.125, None]
    assert found["info"]["removed"] == {"AUTHOR": 4}


def test_match_takes_a_stored_lead_or_a_draft(
    service: str, script: Script, capsys: Capture
) -> None:
    member = Member("m1", name="王委员", sector="教育界", expertise="基础教育")
    found = pb.MatchedMember(
        member="tenants/default/members/m1", score=1.0, resource=member_to_proto(member, "default")
    )
    script.on("MatchMembers", pb.MatchMembersResponse(members=[found]))
    assert run("match", "l1") == 0
    assert script.last("MatchMembers").lead == "tenants/default/leads/l1"
    assert "王委员 教育界 基础教育" in capsys.readouterr().out
    assert run("match", "--title", "路灯", "--lat", "28.2", "--lon", "112.9", "--json") == 0
    draft = script.last("MatchMembers").draft
    assert (draft.title, draft.location.longitude) == ("路灯", 112.9)
    assert json.loads(capsys.readouterr().out)["members"][0]["member"]["sector"] == "教育界"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("match",), "give either"),
        (("match", "l1", "--title", "x"), "give either"),
        (("match", "--title", "x", "--lat", "1"), "--lat and --lon go together"),
        (("match", "--title", "x", "--lat", "91", "--lon", "1"), "equal to 90"),
        (("recommend",), "Missing argument"),
        (("recommend", "m1", "--count", "0"), "--count"),
        (("recommend", "m1", "--nonsense"), "--nonsense"),
        (("nonsense",), "No such command"),
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


def test_explain_tells_why_and_why_not(service: str, script: Script, capsys: Capture) -> None:
    term = pb.ScoreTerm(
        code=pb.REASON_CODE_PLACE, feature="distance_km", value=float("nan"), weight=-0.5
    )
    script.on(
        "Explain",
        pb.ExplainResponse(would_be_shown=True, rank=3, eligible_count=1_000, score=1.0),
        pb.ExplainResponse(
            blocked_by=[pb.FilterVerdict(reason=pb.FILTER_REASON_CAPACITY, text="名额已满")],
            terms=[term],
            reasons=[pb.Reason(code=pb.REASON_CODE_URGENCY, weight=0.1, text="较为紧急")],
        ),
    )
    assert run("explain", "m1", "l1") == 0
    assert "offered, rank 3 of 1,000" in capsys.readouterr().out
    assert run("explain", "m1", "l1", "--reply", "token") == 0
    assert script.last("Explain").attributed.attribution_token == "token"
    shown = capsys.readouterr().out
    for text in (
        "not offered",
        "CAPACITY: 名额已满",
        "distance_km",
        "-0.500",
        "较为紧急  (URGENCY",
    ):
        assert text in shown
    assert run("explain", "m1", "l1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["terms"][0]["value"] is None


def test_models_are_listed_shown_and_switched(
    service: str, script: Script, capsys: Capture
) -> None:
    model = model_pb2.Model(
        name="tenants/default/models/v2",
        state=model_pb2.MODEL_STATE_ACTIVE,
        member_count=1_000,
        metrics=[model_pb2.ModelMetric(metric="ndcg@10", cohort="all", value=0.5)],
        checks=[model_pb2.GateCheck(check="members_differ", passed=False, detail="0.1 < 0.5")],
    )
    broken = model_pb2.Model(
        name="tenants/default/models/v1",
        state=model_pb2.MODEL_STATE_UNUSABLE,
        problem="x.npy truncated",
    )
    script.on("ListModels", model_pb2.ListModelsResponse(models=[model, broken]))
    script.on("GetModel", model_pb2.GetModelResponse(model=model))
    script.on("ActivateModel", model_pb2.ActivateModelResponse(model=model))
    script.on("RollbackModel", model_pb2.RollbackModelResponse(model=model))
    assert run("models", "list") == 0
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("ACTIVE", "1,000", "ndcg@10 0.5000", "x.npy truncated"))
    assert run("models", "show", "v2") == 0
    assert "FAILED  0.1 < 0.5" in capsys.readouterr().out
    assert run("models", "activate", "v2", "--reason", "better") == 0
    assert script.last("ActivateModel").reason == "better"
    assert "v2 is in force" in capsys.readouterr().out
    assert run("models", "rollback", "--json") == 0
    assert json.loads(capsys.readouterr().out)["model_id"] == "v2"
    assert run("models", "show", "v2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["metrics"][0]["value"] == 0.5
    assert run("models", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[1]["problem"] == "x.npy truncated"


def test_workers_and_what_the_store_promises(service: str, script: Script, capsys: Capture) -> None:
    durability = model_pb2.StoreDurability(
        server="valkey 9", loses="up to a second of writes", warnings=["eviction is on"]
    )
    worker = model_pb2.WorkerStatus(worker="w1", problem="bundle damaged")
    script.on("ListWorkers", model_pb2.ListWorkersResponse(workers=[worker], durability=durability))
    assert run("models", "workers") == 0
    shown = capsys.readouterr().out
    for text in ("w1", "no", "bundle damaged", "valkey 9; up to a second", "warning: eviction"):
        assert text in shown


def test_errors_are_one_line_and_exit_with_1(service: str, script: Script, capsys: Capture) -> None:
    script.on("RecommendLeads", UnknownMemberError("there is no member [x]"))
    assert run("recommend", "x") == 1
    assert capsys.readouterr().err == "error: there is no member [x]\n"
    script.on("ListModels", RoleNotAllowedError("role platform may not"))
    assert run("models", "list", "--token", "t", "--tenant", "hn", "--timeout", "3") == 1
    call = script.calls("ListModels")[-1]
    assert call.metadata["authorization"] == "Bearer t"
    assert call.request.parent == "tenants/hn"
    assert call.seconds_left < 3.5


def test_tls_options_are_checked(capsys: Capture, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.pem")
    assert run("recommend", "m1", "--tls-authority", missing) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_config_says_where_values_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = tmp_path / "recsvc.toml"
    file.write_text("port = 7000\nworkers = 3\n")
    monkeypatch.setenv("RECSVC_PORT", "7001")
    monkeypatch.setenv("RECSVC_ADDRESS", "127.0.0.1:1")  # of the client, no setting of the server
    assert run("config", "--config", str(file), "--json") == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert (found["port"]["value"], found["port"]["source"]) == ("7001", "RECSVC_PORT")
    assert (found["workers"]["value"], found["workers"]["source"]) == ("3", str(file))
    assert found["host"]["source"] == "default"
    assert run("config", "--config", str(file)) == 0
    assert "RECSVC_PORT" in capsys.readouterr().out
    file.write_text("workers = 0\n")
    assert run("config", "--config", str(file)) == 1
    assert "workers" in capsys.readouterr().err


def test_every_command_has_a_help_that_ends_with_an_example(capsys: Capture) -> None:
    assert run("--help") == 0
    listed = capsys.readouterr().out
    for name in ("recommend", "match", "explain", "config", "import", "models"):
        assert f"│ {name} " in listed
        assert run(name, "--help") == 0
        shown = capsys.readouterr().out.strip()
        assert f"Example: recsvc {name}" in shown.rpartition("╯")[2].replace(
            "RECSVC_PORT=50052 ", ""
        )


def test_listing_the_commands_loads_none_of_them() -> None:
    code = (
        "import sys\nfrom recsvc.cli import main\ntry:\n    main(['--help'])\nfinally:\n"
        "    print({'grpc', 'numba', 'training', 'recsvc.client'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] in ("set()", "{'training'}")


def test_a_broken_command_harms_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "plugin-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[recsvc.commands]\n"
        "broken = plugin_broken:run\ngone = plugin_gone:run\nfine = plugin_fine:app\n"
    )
    (tmp_path / "plugin_broken.py").write_text("def run():\n    'Says hello.'\n\nimport no_such\n")
    (tmp_path / "plugin_fine.py").write_text(
        "'An app.'\nimport typer\napp = typer.Typer()\n\n@app.command()\ndef hello(): print('hi')\n"
    )

    def recsvc(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from recsvc.cli import main; main(sys.argv[1:])"
        environment = {"PYTHONPATH": str(tmp_path), "COLUMNS": "160", "PATH": "/usr/bin"}
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )

    listed = recsvc("--help")
    assert listed.returncode == 0
    assert "Says hello." in listed.stdout
    assert "cannot be loaded" in listed.stdout
    assert "An app." in listed.stdout
    broken = recsvc("broken")
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "no_such" in broken.stderr
    assert "Traceback" not in broken.stderr
    assert recsvc("gone").returncode == 1
    fine = recsvc("fine")
    assert (fine.returncode, fine.stdout) == (0, "hi\n")


def imported(kind: str) -> Any:
    def answer(messages: list[Any]) -> Any:
        count = sum(len(getattr(message, kind)) for message in messages)
        reply = getattr(catalog_pb2, f"Import{kind.title()}Response")()
        reply.summary.row_count = reply.summary.imported_count = count
        return reply

    return answer


def test_import_sends_every_table_in_an_order_that_fits(
    service: str, script: Script, tmp_path: Path, capsys: Capture
) -> None:
    write_dataset(
        tmp_path / "set",
        members=[Member("m1", "o1"), Member("m2")],
        leads=[Lead("l1", title=TITLES[0])],
        organizations=[Organization("o1")],
        conflicts=[Conflict("m1", lead_id="l1", author_id="a1", reason="亲属")],
    )
    for kind in ("organizations", "members", "leads", "conflicts"):
        script.on(f"Import{kind.title()}", imported(kind))
    assert run("import", "--data", str(tmp_path / "set"), "--json") == 0
    assert [call.method for call in script.received] == [
        "ImportOrganizations",
        "ImportMembers",
        "ImportLeads",
        "ImportConflicts",
    ]
    assert script.calls("ImportLeads")[0].request[0].leads[0].title == TITLES[0]
    targets = [c.WhichOneof("target") for c in script.last("ImportConflicts")[0].conflicts]
    assert targets == ["lead", "author_id"]
    shown = json.loads(capsys.readouterr().out)
    assert shown["members"]["sent"]["imported_count"] == 2
    assert run("import", "--data", str(tmp_path / "set")) == 0
    assert "organizations" in capsys.readouterr().out


def test_an_import_that_the_service_refuses_fails(
    service: str, script: Script, tmp_path: Path, capsys: Capture
) -> None:
    write_dataset(tmp_path / "set", members=[Member("m1")])
    refused = catalog_pb2.ImportMembersResponse(
        summary=catalog_pb2.ImportSummary(row_count=1, rejected_count=1),
        errors=[
            errors_pb2.RowError(
                reason=errors_pb2.ERROR_REASON_INVALID_NAME, message="bad id", row_id="m1"
            )
        ],
    )
    script.on("ImportMembers", refused)
    assert run("import", "--data", str(tmp_path / "set")) == 1
    shown = capsys.readouterr().err
    assert "members m1: INVALID_NAME bad id" in shown
    assert "refused 1 of 1 rows of members" in shown
    assert run("import", "--data", str(tmp_path)) == 1
    assert "no members, leads, organizations or conflicts" in capsys.readouterr().err


def test_a_conflict_row_becomes_one_conflict_a_target() -> None:
    row = Conflict("m1", "l1", "a1", "o1", "亲属")
    assert single_targets(row) == [
        Conflict("m1", lead_id="l1", reason="亲属"),
        Conflict("m1", author_id="a1", reason="亲属"),
        Conflict("m1", organization_id="o1", reason="亲属"),
    ]
