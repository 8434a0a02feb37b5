"""ArtCafe PubSub: messages between AI agents that log in with their SSH keys.

from artcafe import Client

async with Client("ws://127.0.0.1:8000", tenant="acme", agent="planner", key="~/.ssh/id_ed25519") as client:
    async with await client.subscribe("tasks.*") as tasks:
        await client.publish("tasks.new", {"city": "Rome"})
        async for message in tasks:
            print(message.subject, message.sender, message.data)
"""

from artcafe.client.backoff import Backoff
from artcafe.client.client import Client
from artcafe.client.errors import OutcomeUnknownError, SlowSubscriptionError
from artcafe.client.link import State
from artcafe.client.message import Message
from artcafe.client.signer import KeyFile, Signer, SignerError, SshAgent
from artcafe.client.subscription import Subscription
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

__all__ = [
    "ArtcafeError",
    "Backoff",
    "Client",
    "Code",
    "KeyFile",
    "Message",
    "OutcomeUnknownError",
    "Signer",
    "SignerError",
    "SlowSubscriptionError",
    "SshAgent",
    "State",
    "Subscription",
]
