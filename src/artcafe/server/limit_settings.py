"""The settings that are numbers: how much there may be, and how long it may take."""

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings

from artcafe.server.domain.failed_logins import LoginLimits


def named(name: str, *older: str) -> AliasChoices:
    """The variables of a setting; the first is its name."""
    return AliasChoices(f"ARTCAFE_{name.upper()}", *older)


class LimitSettings(BaseSettings):
    """One part of the server's settings."""

    max_payload_bytes: int = Field(
        1_048_576,
        ge=1024,
        le=2_000_000,
        validation_alias=named("max_payload_bytes"),
        description="Bytes of `data` in one message; the bus takes 2 MiB with everything around it.",
    )
    stream_replicas: int = Field(
        1,
        ge=1,
        le=5,
        validation_alias=named("stream_replicas"),
        description=(
            "Copies of what durable channels hold, each on another server of a NATS cluster; 3 outlive the "
            "loss of one server, 5 of two. The same in every process."
        ),
    )
    max_queued_bytes: int = Field(
        1_048_576,
        ge=65_536,
        validation_alias=named("max_queued_bytes"),
        description="Bytes queued for one client before it is closed as too slow.",
    )
    max_subscriptions: int = Field(
        256, ge=1, validation_alias=named("max_subscriptions"), description="Subscriptions per connection."
    )
    max_control_frames_per_second: float = Field(
        10.0,
        ge=1,
        le=10_000,
        validation_alias=named("max_control_frames_per_second"),
        description="PINGs, PONGs and tiny fragments from one client, ten seconds' worth at once; then 4005.",
    )
    max_agent_connections: int = Field(
        8,
        ge=1,
        validation_alias=named("max_agent_connections"),
        description="Connections per agent and process.",
    )
    max_pending_logins: int = Field(
        1000,
        ge=1,
        validation_alias=named("max_pending_logins"),
        description="Connections that are not logged in yet, in each process.",
    )
    max_pending_logins_per_address: int = Field(
        64,
        ge=1,
        validation_alias=named("max_pending_logins_per_address"),
        description="Such connections from one address.",
    )
    quota_grace_percent: int = Field(
        0,
        ge=0,
        le=1000,
        validation_alias=named("quota_grace_percent"),
        description=(
            "What a tenant may publish beyond its plan's messages of a month before it is refused, in "
            "hundredths of them."
        ),
    )
    max_connections: int | None = Field(
        None,
        ge=8,
        validation_alias=named("max_connections"),
        description=(
            "Open connections per process, HTTP and WebSockets together. What the limit of open files "
            "(`ulimit -n`) allows when not set: all but an eighth of it, and all but 64 at least."
        ),
    )
    max_connections_per_address: int | None = Field(
        None,
        ge=1,
        validation_alias=named("max_connections_per_address"),
        description=(
            "Open connections from one address (IPv6: a /64). Half of all when not set. Sockets of trusted "
            "proxies count for no address, the WebSockets on them for the client's."
        ),
    )
    max_head_bytes: int = Field(
        65_536,
        ge=4096,
        le=1_048_576,
        validation_alias=named("max_head_bytes"),
        description="Bytes of a request's line and header fields together; more is 431.",
    )
    max_head_fields: int = Field(
        100,
        ge=16,
        le=1000,
        validation_alias=named("max_head_fields"),
        description="Header fields of a request; more is 431.",
    )
    max_pipelined_requests: int = Field(
        8,
        ge=1,
        le=100,
        validation_alias=named("max_pipelined_requests"),
        description="Unanswered requests of one connection; until one is answered, no more is read.",
    )
    head_seconds: float = Field(
        10.0,
        ge=0.1,
        le=300,
        validation_alias=named("head_seconds"),
        description="Seconds until a request's head is complete; for the first one, from the connection on.",
    )
    body_seconds: float = Field(
        30.0,
        ge=0.1,
        le=600,
        validation_alias=named("body_seconds"),
        description="Seconds of silence inside a request's body until it is answered with 408.",
    )
    keep_alive_seconds: float = Field(
        75.0,
        ge=0.1,
        le=3600,
        validation_alias=named("keep_alive_seconds"),
        description=("Seconds until an idle HTTP connection is closed; set it above the proxy's timeout."),
    )
    answer_seconds: float = Field(
        30.0,
        ge=0.1,
        le=600,
        validation_alias=named("answer_seconds"),
        description="Seconds for which a client may leave an HTTP response unread until it is cut off.",
    )
    user_calls_per_minute: int = Field(
        300,
        ge=1,
        le=1_000_000,
        validation_alias=named("user_calls_per_minute"),
        description=(
            "API calls of one human that enter no tenant (making and listing tenants, accepting invitations, "
            "and what is refused before a tenant is entered), in each process."
        ),
    )
    failed_logins_per_agent: int = Field(
        30,
        ge=1,
        validation_alias=named("failed_logins_per_agent"),
        description="Logins that may fail in a minute for one agent from one address, in each process.",
    )
    failed_logins_per_address: int = Field(
        300,
        ge=1,
        validation_alias=named("failed_logins_per_address"),
        description="Failed logins in a minute from one address (an IPv6 /64), without a key of the agent.",
    )
    failed_logins: int = Field(
        3000,
        ge=1,
        validation_alias=named("failed_logins"),
        description="Failed logins in a minute from all addresses, likewise.",
    )
    heartbeat_seconds: float = Field(
        25.0,
        ge=0.1,
        le=300,
        validation_alias=named("heartbeat_seconds"),
        description="Seconds of silence until a client is pinged; after twice as many it is closed.",
    )
    idle_link_seconds: float = Field(
        60.0,
        ge=0,
        validation_alias=named("idle_link_seconds"),
        description="Seconds until an unused connection of a tenant to the bus is closed.",
    )
    flush_seconds: float = Field(
        2.0,
        gt=0,
        le=60,
        validation_alias=named("flush_seconds"),
        description="Seconds between two writes of usage and presence.",
    )
    drain_seconds: float = Field(
        5.0,
        ge=0.5,
        le=300,
        validation_alias=named("drain_seconds"),
        description="Seconds for a graceful shutdown, until connections are cut.",
    )
    log_rate: float = Field(
        20.0,
        gt=0,
        le=10_000,
        validation_alias=named("log_rate"),
        description=(
            "Log lines a second, over some time, that proven clients may cause; strangers may cause half as "
            "many. What is more is counted, and its number is logged within a minute or so."
        ),
    )

    drain_notice_seconds: float = Field(
        0.0,
        ge=0,
        le=300,
        validation_alias=named("drain_notice_seconds"),
        description="Seconds before the shutdown in which only /readyz reports it, for load balancers.",
    )

    @property
    def login_limits(self) -> LoginLimits:
        """How many logins may fail."""
        return LoginLimits(
            per_agent=self.failed_logins_per_agent,
            per_address=self.failed_logins_per_address,
            in_all=self.failed_logins,
        )
