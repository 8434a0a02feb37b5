"""The errors of each operation, derived from its description."""

from typing import Any

from artcafe.wire.codes import Code

_OWN = {
    "create_agent": {Code.quota_exceeded, Code.invalid_subject},
    "update_agent": {Code.quota_exceeded, Code.invalid_subject},
    "add_key": {Code.quota_exceeded},
    "list_agents": {Code.quota_exceeded},
    "list_channels": {Code.quota_exceeded},
    "create_channel": {Code.quota_exceeded, Code.invalid_subject},
    "update_channel": {Code.quota_exceeded, Code.invalid_subject},
    "publish_message": {
        Code.invalid_subject,
        Code.bad_frame,
        Code.outcome_unknown,
        Code.channel_full,
        Code.quota_exceeded,
    },
    "list_messages": {Code.invalid_subject, Code.not_durable},
    "list_subscriptions": {Code.not_durable},
    "delete_subscription": {Code.not_durable},
    "list_dead_letters": {Code.not_durable},
    "retry_dead_letter": {Code.not_durable, Code.channel_full, Code.outcome_unknown},
    "remove_dead_letter": {Code.not_durable},
    "purge_dead_letters": {Code.not_durable},
    "verify_challenge": {Code.unauthorized, Code.suspended, Code.rate_limited},
    "add_member": {Code.quota_exceeded},
    "change_member": {Code.quota_exceeded},
    "create_invitation": {Code.quota_exceeded},
    "accept_invitation": {Code.not_found, Code.quota_exceeded, Code.suspended},
    "create_tenant": {Code.forbidden, Code.quota_exceeded},
    "list_all_tenants": {Code.forbidden},
    "list_installation_log": {Code.forbidden},
    "configuration": {Code.not_found},
    "jwks": {Code.not_found},
    "sign_in_config": {Code.not_found},
    "sign_in_code": {Code.unauthorized, Code.not_found, Code.conflict, Code.unavailable},
    "token": {Code.unauthorized, Code.not_found, Code.conflict, Code.unavailable},
}
"""What only these operations can say, by the name of the function."""

_PROBES = ("/livez", "/readyz", "/health")


def refusals(operation: dict[str, Any], path: str, method: str) -> set[Code]:
    """The codes with which this operation may answer. Probes have answers of their own and give none."""
    if path in _PROBES:
        return set()
    codes = {Code.internal, *_OWN.get(operation["operationId"], ())}
    parameters = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    if path.startswith("/api/"):
        codes |= {Code.unavailable, Code.unreadable_record}
    if "requestBody" in operation:
        codes |= {
            Code.bad_request,
            Code.too_large,
            Code.unsupported_media_type,
            Code.validation_failed,
        }
    if parameters:
        codes |= {Code.bad_request, Code.validation_failed}
    if "security" in operation:
        codes |= {Code.unauthorized, Code.token_expired, Code.rate_limited}
        if method != "get":
            codes.add(Code.conflict)
    if parameters & {"tenant_id", "x-tenant-id"}:
        codes |= {Code.forbidden, Code.suspended, Code.deleting}
    if "{" in path:
        codes.add(Code.not_found)
    if "if-match" in parameters:
        codes.add(Code.precondition_failed)
    if "idempotency-key" in parameters:
        codes.add(Code.idempotency_mismatch)
    return codes
