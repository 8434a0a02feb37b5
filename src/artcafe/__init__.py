"""ArtCafe PubSub: messages between AI agents that log in with their SSH keys.

from artcafe import Client

async with Client("ws://127.0.0.1:8000", tenant="acme", agent="planner", key="~/.ssh/id_ed25519") as client:
    async with await client.subscribe("tasks.*") as tasks:
        await client.publish("tasks.new", {"city": "Rome"})
        async for message in tasks:
            print(message.subject, message.sender, message.data)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artcafe.client.agent import Agent
    from artcafe.client.backoff import Backoff
    from artcafe.client.client import Client
    from artcafe.client.dashboard import Dashboard
    from artcafe.client.errors import (
        NoRespondersError,
        OutcomeUnknownError,
        Refusal,
        RemoteError,
        RequestCancelledError,
        RequestTimeoutError,
        SlowSubscriptionError,
        UndecodableError,
    )
    from artcafe.client.link import State
    from artcafe.client.message import Message
    from artcafe.client.questions import AgentEvent
    from artcafe.client.rest import Rest
    from artcafe.client.signer import KeyFile, Signer, SignerError, SshAgent
    from artcafe.client.subscription import Subscription
    from artcafe.client.sync import SyncClient
    from artcafe.wire.codes import Code
    from artcafe.wire.discovery import AgentChange, OnlineAgent
    from artcafe.wire.errors import ArtcafeError

__all__ = [
    "Agent",
    "AgentChange",
    "AgentEvent",
    "ArtcafeError",
    "Backoff",
    "Client",
    "Code",
    "Dashboard",
    "KeyFile",
    "Message",
    "NoRespondersError",
    "OnlineAgent",
    "OutcomeUnknownError",
    "Refusal",
    "RemoteError",
    "RequestCancelledError",
    "RequestTimeoutError",
    "Rest",
    "Signer",
    "SignerError",
    "SlowSubscriptionError",
    "SshAgent",
    "State",
    "Subscription",
    "SyncClient",
    "UndecodableError",
]

# Loaded when first asked for (PEP 562): whatever imports a part of this package imports this file, and
# neither a server nor `artcafe --help` should wait for the SDK's WebSockets and cryptography.
_HOMES = {
    "Agent": "artcafe.client.agent",
    "AgentChange": "artcafe.wire.discovery",
    "AgentEvent": "artcafe.client.questions",
    "ArtcafeError": "artcafe.wire.errors",
    "Backoff": "artcafe.client.backoff",
    "Client": "artcafe.client.client",
    "Code": "artcafe.wire.codes",
    "Dashboard": "artcafe.client.dashboard",
    "KeyFile": "artcafe.client.signer",
    "Message": "artcafe.client.message",
    "OnlineAgent": "artcafe.wire.discovery",
    "OutcomeUnknownError": "artcafe.client.errors",
    "NoRespondersError": "artcafe.client.errors",
    "Refusal": "artcafe.client.errors",
    "RemoteError": "artcafe.client.errors",
    "RequestCancelledError": "artcafe.client.errors",
    "RequestTimeoutError": "artcafe.client.errors",
    "Rest": "artcafe.client.rest",
    "Signer": "artcafe.client.signer",
    "SignerError": "artcafe.client.signer",
    "SlowSubscriptionError": "artcafe.client.errors",
    "SshAgent": "artcafe.client.signer",
    "State": "artcafe.client.link",
    "Subscription": "artcafe.client.subscription",
    "SyncClient": "artcafe.client.sync",
    "UndecodableError": "artcafe.client.errors",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
