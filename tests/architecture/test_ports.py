"""Ports are small, promise something, and are asked tenant first."""

import ast
import re

import pytest

from tests.kit.tree import syntax

MODULES = [
    *(
        f"server/ports/{name}.py"
        for name in (
            "answers",
            "bus",
            "channel_streams",
            "clock",
            "deletions",
            "identity",
            "installation",
            "records",
            "events",
        )
    ),
    "server/store/item.py",
]

MOST_METHODS = {
    "ItemStore": 9,  # a whole key-value store behind one port
    "Link": 10,  # messages, and the ways to streams and their consumers
}
MOST_METHODS_OTHERWISE = 7

NOT_TENANT_FIRST = {
    "MemberRecords.of_user",  # it answers which tenants a human may choose among
    "TenantIndex.made_by",  # it counts tenants, and is inside none
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


PORTS = [
    node
    for module in MODULES
    for node in syntax(module).body
    if isinstance(node, ast.ClassDef) and "Protocol" in {ast.unparse(base) for base in node.bases}
]


def methods(port: ast.ClassDef) -> list[Function]:
    return [node for node in port.body if isinstance(node, Function)]


EVERY_METHOD = [
    pytest.param(port.name, method, id=f"{port.name}.{method.name}")
    for port in PORTS
    for method in methods(port)
]


def test_there_are_ports() -> None:
    assert {"AgentRecords", "Bus", "Clock", "ItemStore"} <= {port.name for port in PORTS}


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.name)
def test_a_port_is_small_and_says_what_it_is(port: ast.ClassDef) -> None:
    assert 1 <= len(methods(port)) <= MOST_METHODS.get(port.name, MOST_METHODS_OTHERWISE)
    assert ast.get_docstring(port)


@pytest.mark.parametrize(("port", "method"), EVERY_METHOD)
def test_a_method_of_a_port_promises_something(port: str, method: Function) -> None:
    promise = ast.get_docstring(method)
    assert promise
    assert promise.rstrip().endswith(".")


@pytest.mark.parametrize(("port", "method"), EVERY_METHOD)
def test_tenant_data_is_asked_for_tenant_first(port: str, method: Function) -> None:
    """What names an agent, a channel or a user means nothing without its tenant: that comes first."""
    kinds = [ast.unparse(argument.annotation) for argument in method.args.args if argument.annotation]
    of_a_tenant = re.compile(r"\b(TenantId|Tenant|AgentId|ChannelId|UserId)\b")
    if f"{port}.{method.name}" in NOT_TENANT_FIRST:
        assert "TenantId" not in kinds
    elif any(kind in {"TenantId", "Tenant"} or of_a_tenant.fullmatch(kind) for kind in kinds):
        assert kinds[0] in {"TenantId", "Tenant"}
