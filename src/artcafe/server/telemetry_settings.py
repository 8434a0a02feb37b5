"""The settings of what an operator sees of a server: metrics and traces."""

from pydantic import Field

from artcafe.server.limit_settings import LimitSettings, named


class TelemetrySettings(LimitSettings):
    """One part of the server's settings."""

    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        validation_alias=named("metrics_port"),
        description=(
            "The port of `/metrics`, for Prometheus; 0 takes any. It asks nobody who they are: protect it. "
            "Nothing is measured when it is not set."
        ),
    )
    metrics_host: str = Field(
        "127.0.0.1",
        validation_alias=named("metrics_host"),
        description="Address on which `/metrics` is served, where it has a port (`ARTCAFE_METRICS_PORT`).",
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s@?#]+[^\s@?#/]$",
        validation_alias=named("otlp_endpoint"),
        description=(
            "Where a collector takes OpenTelemetry's traces by OTLP over HTTP, like `http://127.0.0.1:4318`. "
            "Needs the extra `otel`. Nothing is traced when it is not set."
        ),
    )
    trace_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        validation_alias=named("trace_ratio"),
        description="The share of traces, by their ids, that is sent to `ARTCAFE_OTLP_ENDPOINT`.",
    )
