"""What can be set: one field a setting, each with its description, default and range."""

from __future__ import annotations

from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.sources import PydanticBaseSettingsSource

ENVIRONMENT_PREFIX = "RECSVC_"
_SECTION = ConfigDict(extra="forbid", frozen=True)
_TENANT = r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,62}$"

RoleName = Literal["platform", "operator", "trainer", "auditor"]
TenantName = Annotated[str, StringConstraints(pattern=_TENANT)]


class Token(BaseModel):
    """A caller: only the hash of the bearer token is kept (`printf %s TOKEN | sha256sum`)."""

    model_config = _SECTION

    sha256: str = Field(pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the token, in hex")
    tenant: TenantName = Field(default="default", description="The tenant it may speak for")
    role: RoleName = Field(description="platform, operator, trainer or auditor")
    name: str = Field(
        default="", max_length=100, description="Who holds it, for logs and activations"
    )


class Tls(BaseModel):
    """Encryption; without a certificate the server speaks plain text."""

    model_config = _SECTION

    certificate: Path | None = Field(
        default=None, description="PEM file of the server's certificate chain"
    )
    key: Path | None = Field(default=None, description="PEM file of its private key")
    client_ca: Path | None = Field(
        default=None,
        description="PEM file of the authority that signs clients; asks for them (mTLS)",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: set both or none")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client_ca needs certificate and key")
        for path in (self.certificate, self.key, self.client_ca):
            if path is not None and not path.is_file():
                raise ValueError(f"there is no file {path}")
        return self


class Metrics(BaseModel):
    """Prometheus metrics of all workers, on one HTTP port of the supervisor."""

    model_config = _SECTION

    enabled: bool = Field(default=True, description="Serve /metrics")
    host: str = Field(default="127.0.0.1", description="Address to serve it on")
    port: int = Field(default=9464, ge=0, le=65535, description="Port of it; 0 takes a free one")


class Tracing(BaseModel):
    """OpenTelemetry spans of calls, through the SDK that the environment (OTEL_*) configures."""

    model_config = _SECTION

    enabled: bool = Field(default=False, description="Put OpenTelemetry's spans around calls")
    console: bool = Field(default=False, description="Print spans to stderr: to try it out")


class Settings(BaseSettings):
    """Everything that can be set. Frozen: a change needs a restart (SIGHUP only reloads models)."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__"
    )

    models_folder: Path = Field(default=Path("models"), description="Where bundles are published")
    data_folder: Path = Field(
        default=Path("data"), description="The embedded store and the service's own keys live here"
    )
    tenants: tuple[TenantName, ...] = Field(default=("default",), description="The tenants served")
    host: str = Field(
        default="127.0.0.1", description="Address to listen on; beyond loopback only with tokens"
    )
    port: int = Field(default=50051, ge=0, le=65535, description="gRPC port; 0 takes a free one")
    workers: int = Field(default=1, ge=1, le=256, description="Worker processes on the one port")
    tokens: tuple[Token, ...] = Field(
        default=(), description="Who may call; empty: anybody on this machine may do everything"
    )
    tls: Tls = Field(default_factory=Tls, description="Encryption")
    redis_url: str = Field(
        default="",
        description="redis://, rediss://, unix:// … of your store; empty: an embedded Valkey",
    )
    store_answer_seconds: float = Field(
        default=3.0, gt=0, description="How long a worker waits for the store to answer"
    )
    embedded_fsync: Literal["always", "everysec"] = Field(
        default="always",
        description="When the embedded Valkey flushes its append-only file to disk",
    )
    require_durable: bool = Field(
        default=False, description="Do not start on a store that may lose what it acknowledged"
    )
    bucket_count: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Parts of a new tenant's change stream; fixed from then on",
    )
    retrieval: dict[str, int] = Field(
        default={},
        description="How many leads a request looks at, as `recsvc tune index` finds it for your "
        "data; empty: the defaults",
    )
    default_diversity: float = Field(
        default=0.0, ge=0, le=1, description="Diversity of lists whose request says none"
    )
    push_config: Path | None = Field(
        default=None, description="TOML file on pushing: caps, waves, worth; none: the defaults"
    )
    push_schedule: str = Field(
        default="", description="When pushes are planned: cron, `0 3 * * *`; empty: only when asked"
    )
    push_time_zone: str = Field(default="Asia/Shanghai", description="Of push_schedule")
    push_holidays: tuple[date, ...] = Field(
        default=(), description="Days on which nothing is pushed, `2027-02-17`"
    )
    max_in_flight: int = Field(
        default=1024, ge=1, description="Calls a worker takes at a time; more are told OVERLOADED"
    )
    max_queue_seconds: float = Field(
        default=0.3, gt=0, description="Calls that would wait longer for a turn are told OVERLOADED"
    )
    max_receive_bytes: int = Field(
        default=32 << 20, ge=1 << 20, description="Largest message taken, in bytes"
    )
    max_wait_seconds: float = Field(
        default=5.0, gt=0, description="Longest wait for `min_revision` when a call has no deadline"
    )
    start_seconds: float = Field(
        default=10.0, gt=0, description="How long a starting worker tries to reach the store first"
    )
    drain_seconds: float = Field(
        default=15.0, ge=0, description="How long running calls may take to end at shutdown"
    )
    model_poll_seconds: float = Field(
        default=0.5,
        gt=0,
        description="How often a worker looks for a new model in the models folder",
    )
    heartbeat_seconds: float = Field(
        default=2.0, gt=0, description="How often a worker reports itself"
    )
    reflection: bool = Field(
        default=True, description="Let tools such as grpcurl read the contract"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged; every call is a line at info"
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="How lines are written"
    )
    metrics: Metrics = Field(default_factory=Metrics, description="Prometheus metrics")
    tracing: Tracing = Field(default_factory=Tracing, description="OpenTelemetry")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load_settings` reads and merges the sources, so that each value's source is known."""
        return (init_settings,)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.tenants or len(set(self.tenants)) < len(self.tenants):
            raise ValueError("tenants: name at least one, and each once")
        strangers = {t.tenant for t in self.tokens} - set(self.tenants)
        if strangers:
            raise ValueError(f"tokens: tenant {min(strangers)!r} is not among the tenants served")
        if len({t.sha256.lower() for t in self.tokens}) < len(self.tokens):
            raise ValueError("tokens: one token is listed twice")
        if not self.tokens and not is_loopback(self.host):
            raise ValueError(
                f"host: without tokens the server listens on loopback only, not on {self.host!r}; "
                "configure tokens, or set host to 127.0.0.1"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to `host`."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
