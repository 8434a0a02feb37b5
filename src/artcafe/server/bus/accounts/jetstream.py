"""Asks the servers of a NATS what JetStream holds: the monitoring request JSZ of the system account."""

from collections.abc import Mapping
from typing import Any

import msgspec

from artcafe.server.bus.accounts.system_link import SystemLink, object_of
from artcafe.server.ports.stream_usage import StreamUsage

ACCOUNTS_AT_ONCE = 256
"""Accounts whose consumers are in one answer: it stays below a megabyte for most."""

REST_SECONDS = 1.0
"""How long to wait for servers of which others still count, though they are gone."""

_JSZ = "$SYS.REQ.SERVER.PING.JSZ"


async def stream_usage(link: SystemLink) -> StreamUsage:
    """Raises NatsError, OSError, TimeoutError."""
    servers: dict[str, Mapping[str, Any]] = {}
    lag = longest = unacknowledged = offset = 0
    while True:
        more = False
        for name, told in (await _ask(link, offset)).items():
            servers.setdefault(name, told)
            accounts = told.get("account_details") or []
            more = more or len(accounts) >= ACCOUNTS_AT_ONCE
            for consumer in _consumers(name, accounts):
                waiting = consumer.get("num_pending", 0)
                lag += waiting
                longest = max(longest, waiting)
                unacknowledged += consumer.get("num_ack_pending", 0)
        offset += ACCOUNTS_AT_ONCE
        if not more:
            break
    return StreamUsage(
        storage_bytes=_sum(servers, "storage"),
        reserved_bytes=_sum(servers, "reserved_storage"),
        limit_bytes=sum(told["config"]["max_storage"] for told in servers.values() if "config" in told),
        streams=_sum(servers, "streams"),
        consumers=_sum(servers, "consumers"),
        messages=_sum(servers, "messages"),
        api_errors=sum(told.get("api", {}).get("errors", 0) for told in servers.values()),
        lag=lag,
        longest_lag=longest,
        unacknowledged=unacknowledged,
    )


async def _ask(link: SystemLink, offset: int) -> dict[str, Mapping[str, Any]]:
    """What each server says, by its name."""
    wanted = {
        "accounts": True,
        "streams": True,
        "consumer": True,
        "limit": ACCOUNTS_AT_ONCE,
        "offset": offset,
    }
    answers = await link.gather(_JSZ, _every_server, msgspec.json.encode(wanted), rest=REST_SECONDS)
    found = {}
    for answer in map(object_of, answers):
        if "data" in answer:
            found[answer["server"]["name"]] = answer["data"]
    return found


def _every_server(answers: list[bytes]) -> bool:
    """Whether one server is all there is; of a cluster, all that answer within REST_SECONDS count."""
    return not object_of(answers[0])["server"].get("cluster")


def _consumers(server: str, accounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The consumers that a server leads, or has alone."""
    found = []
    for account in accounts:
        for stream in account.get("stream_detail") or []:
            for consumer in stream.get("consumer_detail") or []:
                leader = (consumer.get("cluster") or {}).get("leader", server)
                if leader == server:
                    found.append(consumer)
    return found


def _sum(servers: Mapping[str, Mapping[str, Any]], field: str) -> int:
    return sum(int(told.get(field, 0)) for told in servers.values())
