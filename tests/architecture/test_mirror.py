"""Tests mirror the source: src/artcafe/server/store/sqlite.py is tested by tests/server/store/test_sqlite.py.

Who changes a module finds its tests without searching. What is tested somewhere else says where.
"""

import ast
from pathlib import PurePosixPath

from tests.kit.tree import TESTS, modules, syntax

# Modules without a test file of their own: the file that does test them, and why it is the better place.
ELSEWHERE = {
    "cli/check_config.py": ("e2e/test_start_and_stop.py", "it is the settings' own check, printed"),
    "cli/exchange.py": ("cli/test_demo.py", "it is the demo's second half"),
    "cli/serve.py": ("e2e/test_two_servers.py", "it is a process, seen from outside"),
    "cli/store.py": ("e2e/test_dynamodb.py", "a store that is moved has to serve a platform"),
    "cli/server_options.py": ("e2e/test_start_and_stop.py", "options of processes, seen from outside"),
    "cli/server_process.py": ("e2e/test_log_lines.py", "it is a process, seen from outside"),
    "cli/up.py": ("e2e/test_start_and_stop.py", "it is a process, seen from outside"),
    "cli/reply.py": ("e2e/test_command_line.py", "it answers another process"),
    "cli/who.py": ("e2e/test_discovery.py", "it prints agents that are connected elsewhere"),
    "cli/request.py": ("e2e/test_command_line.py", "another process answers it"),
    "client/request_calls.py": ("e2e/test_requests.py", "somebody else has to answer them"),
    "client/requester.py": ("e2e/test_requests.py", "somebody else has to answer what it sends"),
    "client/channel_calls.py": ("client/test_rest.py", "they are calls of Rest"),
    "server/core/durable/opening.py": ("server/core/durable/test_history.py", "it is opened there"),
    "server/core/durable/subscriptions.py": ("server/api/test_channel_subscriptions.py", "by its routes"),
    "client/discovery_calls.py": ("e2e/test_discovery.py", "somebody has to come and go"),
    "client/publish_calls.py": ("client/test_client.py", "somebody has to take what it sends"),
    "client/route.py": ("client/test_routes.py", "it is routed by them"),
    "client/calls.py": ("client/test_session.py", "its answers come from the session that holds it"),
    "server/api/agent_schemas.py": ("server/api/test_agents.py", "they are read and shown by its routes"),
    "server/api/application.py": ("server/api/test_openapi.py", "the whole of it is described there"),
    "server/bus/tasks.py": ("server/bus/test_tenants.py", "what it ends is there"),
    "client/sync_subscription.py": ("client/test_sync.py", "a client that blocks gives it"),
    "client/worker.py": ("client/test_agent.py", "it is how an agent handles messages"),
    "server/bus/unavailable.py": ("contract/test_bus_accounts.py", "both buses are away in the same words"),
    "server/api/sign_in_page.py": ("server/api/test_oauth2.py", "what is asked there is answered there"),
    "server/bus/nats/grammar.py": ("contract/test_bus.py", "both buses have to hold it, and NATS agrees"),
    "server/bus/memory_consumers.py": ("contract/test_consumers.py", "one suite for both buses"),
    "server/ports/consumers.py": ("contract/test_consumers.py", "both buses have to hold it"),
    "server/bus/nats/streams/api.py": ("server/bus/test_channel_streams.py", "its answers are used there"),
    "server/bus/nats/streams/consumers.py": ("contract/test_consumers.py", "one suite for both buses"),
    "server/bus/streams_account.py": (
        "server/bus/test_channel_streams.py",
        "it serves those changes",
    ),
    "server/bus/memory.py": ("contract/test_bus.py", "one suite for the real bus and the one in memory"),
    "server/domain/login_refusal.py": ("server/core/test_login_reasons.py", "who refuses gives the reason"),
    "server/limit_settings.py": ("server/test_settings.py", "they are a part of the settings"),
    "server/edge/exchange.py": ("server/edge/test_protocol.py", "one request, seen from outside"),
    "server/gateway/hubs.py": ("server/gateway/test_gateway_endings.py", "sessions come and go there"),
    "server/gateway/sessions/client_memberships.py": (
        "server/gateway/fanout/test_durable_subscription.py",
        "what a client joins is shared there",
    ),
    "server/gateway/sessions/durable_member.py": (
        "server/gateway/fanout/test_durable_subscription.py",
        "what a client joins is shared there",
    ),
    "server/gateway/fanout/responder.py": (
        "server/gateway/fanout/test_requests.py",
        "it is told there what becomes of requests",
    ),
    "client/inbox.py": ("e2e/test_inbox.py", "it is opened at a server"),
    "client/inbox_calls.py": ("e2e/test_inbox.py", "it is opened at a server"),
    "client/inbox_route.py": ("e2e/test_inbox.py", "it is opened at a server"),
    "cli/inbox.py": ("e2e/test_inbox.py", "somebody else has to store what it prints"),
    "server/bus/memory_inboxes.py": ("contract/test_inboxes.py", "one suite for the real ones and these"),
    "server/bus/nats/streams/inboxes.py": (
        "contract/test_inboxes.py",
        "one suite for these and those in memory",
    ),
    "server/core/inboxes.py": ("e2e/test_inbox.py", "there are agents"),
    "server/gateway/fanout/inbox.py": (
        "server/gateway/sessions/test_client_inbox.py",
        "what it does is seen by the connection that has it",
    ),
    "server/gateway/fanout/inbox_delivery.py": (
        "server/gateway/sessions/test_client_inbox.py",
        "a client settles it",
    ),
    "server/gateway/sessions/inbox_sender.py": (
        "server/gateway/sessions/test_client_inbox.py",
        "what is sent is received there",
    ),
    "server/store/places.py": ("server/test_storage.py", "stores are named where they are moved"),
    "server/store/dynamodb_table.py": ("server/test_storage.py", "it is made to be moved into"),
    "server/serving.py": ("e2e/test_start_and_stop.py", "it is a process, seen from outside"),
    "server/worker.py": ("e2e/test_workers.py", "it is a process, seen from outside"),
}

# Test files about a whole package, called after what they show.
ABOUT_A_PACKAGE = {
    "server/api/test_authorisation.py": "every route, for everybody",
    "server/core/test_events.py": "every use case, and what it tells",
    "server/gateway/test_authorisation.py": "every frame, from everybody",
    "server/bus/test_isolation.py": "tenants on one bus",
    "server/gateway/websocket/test_conformance.py": "RFC 6455, from outside",
    "server/store/test_releases.py": "two releases over one store",
}


def has_logic(module: str) -> bool:
    """Whether a function in it does something: records, protocols and constants need no test."""
    for node in ast.walk(syntax(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                    return True
    return False


def own_test(module: str) -> str:
    path = PurePosixPath(module)
    return (path.parent / f"test_{path.name}").as_posix()


def test_every_module_with_logic_has_its_test_file() -> None:
    assert not [
        f"{module}: tests/{own_test(module)} is missing"
        for module in modules()
        if has_logic(module) and module not in ELSEWHERE and not (TESTS / own_test(module)).exists()
    ]


def test_the_exceptions_are_still_exceptions() -> None:
    assert set(ELSEWHERE) <= set(modules())
    assert not [module for module in ELSEWHERE if (TESTS / own_test(module)).exists()]
    assert not [where for where, _ in ELSEWHERE.values() if not (TESTS / where).exists()]


def test_no_test_file_is_for_a_module_that_is_gone() -> None:
    """A second file for one module is called after it: test_websocket_endings.py beside test_websocket.py."""
    stems = {module.removesuffix(".py") for module in modules()}
    strays = []
    for folder in ("cli", "client", "server", "wire"):
        for path in (TESTS / folder).rglob("test_*.py"):
            place = path.relative_to(TESTS).parent.as_posix()
            name = path.stem.removeprefix("test_")
            if not any(
                f"{place}/{name}" == stem or f"{place}/{name}".startswith(f"{stem}_") for stem in stems
            ):
                strays.append(path.relative_to(TESTS).as_posix())
    assert sorted(strays) == sorted(ABOUT_A_PACKAGE)
