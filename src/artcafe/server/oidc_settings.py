"""The settings about humans: whose tokens count, and how a browser gets one."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from artcafe.server.domain.groups import NOT_FOR_GROUPS, Groups
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.operators import Operators, TenantCreation
from artcafe.server.limit_settings import named
from artcafe.server.telemetry_settings import TelemetrySettings


def words(text: str) -> frozenset[str]:
    """The values between the commas."""
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def without_a_password(url: str | None) -> str | None:
    """The address. Raises ValueError for one that holds a secret."""
    if url is not None and "@" in url:
        raise ValueError("must not hold a user or a password: it is shown and logged")
    return url


class OidcSettings(TelemetrySettings):
    """One part of the server's settings."""

    oidc_issuer: str | None = Field(
        None,
        validation_alias=named("oidc_issuer"),
        description="The OIDC issuer of humans' tokens: the `iss` claim.",
    )
    oidc_jwks_url: str | None = Field(
        None,
        validation_alias=named("oidc_jwks_url"),
        description="The address of the issuer's keys; from its discovery document when not set.",
    )
    oidc_client_ids: str = Field(
        "",
        validation_alias=named("oidc_client_ids"),
        description="Client ids, comma-separated, whose tokens are accepted.",
    )
    oidc_audiences: str = Field(
        "",
        validation_alias=named("oidc_audiences"),
        description="Audiences, comma-separated, whose tokens are accepted.",
    )
    oidc_allow_loopback_http: bool = Field(
        False,
        validation_alias=named("oidc_allow_loopback_http"),
        description="Accept an issuer at http://127.0.0.1 or http://localhost; for development alone.",
    )
    oidc_tenant_claim: str = Field(
        "custom:tenant_id",
        validation_alias=named("oidc_tenant_claim"),
        description="The claim that picks among a user's memberships; it never makes one.",
    )
    oidc_group_claim: str | None = Field(
        None,
        validation_alias=named("oidc_group_claim"),
        description="The claim that names a user's groups, as `cognito:groups` does; none when not set.",
    )
    oidc_groups: str = Field(
        "",
        validation_alias=named("oidc_groups"),
        description="The mapping of groups: GROUP=TENANT:ROLE, comma-separated. Others have no meaning.",
    )
    operators: str = Field(
        "",
        validation_alias=named("operators"),
        description=(
            "Operators of the platform: subjects (`sub`) at the issuer, comma-separated. "
            "Of `artcafe up` the machine's owner is one."
        ),
    )
    operator_group: str | None = Field(
        None,
        validation_alias=named("operator_group"),
        description="A group at the issuer whose people are operators; needs `oidc_group_claim`.",
    )
    tenant_creation: Literal["operator", "anybody"] | None = Field(
        None,
        validation_alias=named("tenant_creation"),
        description=(
            "Who makes tenants: `operator`, or `anybody` who is signed in. "
            "`anybody` where an issuer is set, `operator` without."
        ),
    )
    max_tenants_per_user: int = Field(
        3,
        ge=1,
        le=1000,
        validation_alias=named("max_tenants_per_user"),
        description="Where anybody makes tenants: how many of one user's may exist; of operators any number.",
    )
    oidc_sign_in_client_id: str | None = Field(
        None,
        validation_alias=named("oidc_sign_in_client_id"),
        description="The public client of the console and `artcafe login`; the only client id when not set.",
    )
    oidc_sign_in_scopes: str = Field(
        "openid email",
        validation_alias=named("oidc_sign_in_scopes"),
        description="The scopes that it asks for, separated by spaces.",
    )
    oidc_authorization_endpoint: str | None = Field(
        None,
        validation_alias=named("oidc_authorization_endpoint"),
        description="The issuer's authorization endpoint; from its discovery document when not set.",
    )
    oidc_token_endpoint: str | None = Field(
        None,
        validation_alias=named("oidc_token_endpoint"),
        description="The issuer's token endpoint; from its discovery document when not set.",
    )
    aws_region: str | None = Field(
        None,
        validation_alias=named("aws_region", "AWS_REGION"),
        description="The AWS region of the Cognito pool and the DynamoDB table.",
    )
    cognito_user_pool_id: str | None = Field(
        None,
        validation_alias=named("cognito_user_pool_id", "COGNITO_USER_POOL_ID"),
        description="The Cognito pool: with the region the issuer, when `oidc_issuer` is not set.",
    )
    cognito_client_id: str | None = Field(
        None,
        validation_alias=named("cognito_client_id", "COGNITO_CLIENT_ID"),
        description="A client id, besides `oidc_client_ids`.",
    )

    @field_validator("oidc_issuer", "oidc_jwks_url", "oidc_authorization_endpoint", "oidc_token_endpoint")
    @classmethod
    def _addresses(cls, url: str | None) -> str | None:
        return without_a_password(url)

    @field_validator("oidc_group_claim")
    @classmethod
    def _claim_of_the_issuers_own(cls, name: str | None) -> str | None:
        if name in NOT_FOR_GROUPS:
            raise ValueError(
                f"{name} is what users or clients choose for themselves; anybody would be anything"
            )
        return name

    @field_validator("oidc_groups")
    @classmethod
    def _readable_groups(cls, text: str) -> str:
        Groups.read(text)
        return text

    @model_validator(mode="after")
    def _groups_whole(self) -> Self:
        if self.operator_group and not self.oidc_group_claim:
            raise ValueError("ARTCAFE_OPERATOR_GROUP: needs ARTCAFE_OIDC_GROUP_CLAIM")
        if bool(self.oidc_group_claim) != bool(self.groups.roles or self.operator_group):
            raise ValueError("ARTCAFE_OIDC_GROUPS: goes with ARTCAFE_OIDC_GROUP_CLAIM; set both or neither")
        if self.oidc_group_claim and self.issuer is None:
            raise ValueError(
                "ARTCAFE_OIDC_GROUP_CLAIM: needs an issuer; tokens of the embedded one name no groups"
            )
        return self

    @model_validator(mode="after")
    def _somebody_makes_tenants(self) -> Self:
        if self.issuer and self.tenant_creation == "operator" and not (self.operators or self.operator_group):
            raise ValueError(
                "ARTCAFE_TENANT_CREATION: `operator` needs ARTCAFE_OPERATORS or ARTCAFE_OPERATOR_GROUP, "
                "else nobody makes tenants"
            )
        return self

    @model_validator(mode="after")
    def _cognito_whole(self) -> Self:
        if self.cognito_user_pool_id and not self.aws_region and not self.oidc_issuer:
            raise ValueError("ARTCAFE_COGNITO_USER_POOL_ID: needs ARTCAFE_AWS_REGION, or AWS_REGION")
        if self.issuer and not self.client_ids and not self.audiences:
            raise ValueError(
                "ARTCAFE_OIDC_ISSUER: needs ARTCAFE_OIDC_CLIENT_IDS or ARTCAFE_OIDC_AUDIENCES, "
                "else any token of the issuer would count"
            )
        return self

    @property
    def issuer(self) -> str | None:
        """The issuer of humans' tokens, or None where the embedded one does it."""
        if self.oidc_issuer:
            return self.oidc_issuer
        if self.cognito_user_pool_id:
            return f"https://cognito-idp.{self.aws_region}.amazonaws.com/{self.cognito_user_pool_id}"
        return None

    @property
    def groups(self) -> Groups:
        """The mapping of the issuer's groups."""
        return Groups.read(self.oidc_groups)

    def operators_with(self, *more: str) -> Operators:
        """The operators, with subjects that are operators whatever the settings say."""
        subjects = frozenset(UserId(subject) for subject in words(self.operators) | set(more))
        return Operators(subjects, self.operator_group)

    @property
    def creation(self) -> TenantCreation:
        """The right to create tenants, and its limit."""
        who = self.tenant_creation or ("anybody" if self.issuer else "operator")
        return TenantCreation(anybody=who == "anybody", most=self.max_tenants_per_user)

    @property
    def client_ids(self) -> frozenset[str]:
        """The client ids whose tokens count."""
        return words(self.oidc_client_ids) | words(self.cognito_client_id or "")

    @property
    def sign_in_client_id(self) -> str | None:
        """The client by which browsers sign in; None where it cannot be told."""
        if self.oidc_sign_in_client_id or len(self.client_ids) != 1:
            return self.oidc_sign_in_client_id
        return next(iter(self.client_ids))

    @property
    def audiences(self) -> frozenset[str]:
        """The audiences that count."""
        return words(self.oidc_audiences)
