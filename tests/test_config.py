"""Settings: a file, then the environment, then arguments; every value says where it is from."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsvc.config import Settings, load_settings
from recsvc.errors import ConfigError

HASH = "0" * 64
OTHER_HASH = "1" * 64


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RECSVC_PORT", "RECSVC_HOST"):
        monkeypatch.delenv(name, raising=False)


def write(folder: Path, text: str) -> Path:
    path = folder / "recsvc.toml"
    path.write_text(text, "utf-8")
    return path


def test_everything_has_a_default_and_a_description() -> None:
    loaded = load_settings()
    assert loaded.settings == Settings()
    described = loaded.describe()
    assert all(d.source == "default" and len(d.description) > 10 for d in described)
    assert {"port", "tls.certificate", "metrics.port"} <= {d.name for d in described}


def test_the_later_source_wins_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "port = 1\nworkers = 2\nhost = '::1'\n[metrics]\nport = 3\n")
    monkeypatch.setenv("RECSVC_WORKERS", "4")
    monkeypatch.setenv("RECSVC_METRICS__HOST", "0.0.0.0")
    loaded = load_settings(overrides={"host": "127.0.0.9", "models_folder": None})
    settings = loaded.settings
    assert (settings.port, settings.workers, settings.host) == (1, 4, "127.0.0.9")
    assert (settings.metrics.port, settings.metrics.host) == (3, "0.0.0.0")
    sources = {d.name: d.source for d in loaded.describe()}
    assert sources["port"] == sources["metrics.port"] == path.name
    assert sources["workers"] == "RECSVC_WORKERS"
    assert sources["metrics.host"] == "RECSVC_METRICS__HOST"
    assert sources["host"] == "argument"
    assert sources["models_folder"] == "default"


def test_lists_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSVC_TENANTS", '["hn", "gd"]')
    monkeypatch.setenv(
        "RECSVC_TOKENS", f'[{{"sha256": "{HASH}", "tenant": "gd", "role": "auditor"}}]'
    )
    settings = load_settings().settings
    assert settings.tenants == ("hn", "gd")
    assert settings.tokens[0].role == "auditor"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"redis_url = 'redis://user:word@store:6379/0'\n[[tokens]]\nsha256 = '{HASH}'\n"
        "role = 'platform'\nname = 'portal'\n",
    )
    shown = {d.name: d.value for d in load_settings(path).describe()}
    assert shown["redis_url"] == "redis://***@store:6379/0"
    assert shown["tokens"] == "portal (default: platform)"


BAD = [
    ("port = 70000", "port: "),
    ("prot = 1", "prot: there is no such setting (set in "),
    ("workers = 0", "workers: "),
    ("host = '0.0.0.0'", "without tokens the server listens on loopback only"),
    ("tenants = []", "name at least one"),
    ("tenants = ['a', 'a']", "each once"),
    ("tenants = ['a b']", "tenants.0: "),
    ("tls = { certificate = 'no.pem' }", "certificate and key go together"),
    ("tls = { certificate = 'no.pem', key = 'no.pem' }", "there is no file no.pem"),
    ("tls = { client_ca = 'no.pem' }", "client_ca needs certificate and key"),
    (f"tokens = [{{sha256 = '{HASH}', tenant = 'x', role = 'auditor'}}]", "'x' is not among"),
    (f"tokens = [{{sha256 = '{HASH}', role = 'king'}}]", "tokens.0.role: "),
    ("tokens = [{sha256 = 'abc', role = 'auditor'}]", "tokens.0.sha256: "),
    (
        2 * f"[[tokens]]\nsha256 = '{HASH}'\nrole = 'auditor'\n",
        "one token is listed twice",
    ),
    ("port = ", "cannot be read: "),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(write(tmp_path, text))
    assert message in str(raised.value)


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no configuration file"):
        load_settings(tmp_path / "other.toml")


def test_with_tokens_the_server_may_listen_everywhere(tmp_path: Path) -> None:
    token = f"[[tokens]]\nsha256 = '{OTHER_HASH}'\nrole = 'operator'\n"
    settings = load_settings(write(tmp_path, f"host = '0.0.0.0'\n{token}")).settings
    assert settings.host == "0.0.0.0"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_tokens(host: str) -> None:
    assert load_settings(overrides={"host": host}).settings.host == host
