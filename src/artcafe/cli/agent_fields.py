"""The options that set an agent's fields, shared by `agents create` and `agents update`."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

import click

from artcafe.cli.parameters import JsonFile, JsonText, given, with_options
from artcafe.client.rest import Json
from artcafe.wire.names import unknown_fields

P = ParamSpec("P")
R = TypeVar("R")

_RULES = {
    ("allow", "publish"): "It may publish to these subjects and no others",
    ("deny", "publish"): "It may not publish to these",
    ("allow", "subscribe"): "It may subscribe to these and no others, besides its own",
    ("deny", "subscribe"): "It may not subscribe to these",
}

_SIDES = ("publish", "subscribe")
_KINDS = ("allow", "deny")

CLEARABLE = ("capabilities", "metadata", "tags")


@dataclass(frozen=True, slots=True)
class AgentFields:
    """The parsed options. `fields` are sent as they are; `tags` and `rules` change parts of the agent: its
    `metadata.tags`, and the lists of its policy by side and kind."""

    fields: Json = field(default_factory=dict)
    tags: list[str] | None = None
    rules: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @property
    def partial(self) -> bool:
        """Whether the agent has to be known to change it."""
        return bool(self.rules) or (self.tags is not None and "metadata" not in self.fields)

    def cleared(self, names: Sequence[str], *, policy: bool) -> "AgentFields":
        """With these emptied, and the policy too. Raises UsageError for one that is also given."""
        fields = dict(self.fields)
        for name in names:
            if name in fields or (name == "tags" and self.tags is not None):
                raise click.UsageError(f"{name} is given and cleared at once")
            if name != "tags":
                fields[name] = [] if name == "capabilities" else {}
        if policy:
            if "policy" in fields or self.rules:
                raise click.UsageError("--no-policy does not go with rules")
            fields["policy"] = {}
        return replace(self, fields=fields, tags=[] if "tags" in names else self.tags)

    def body(self, agent: Json) -> Json:
        """The request body for the agent as it is; for a new one pass `{}`."""
        body = dict(self.fields)
        if self.tags is not None:
            had: Json = body["metadata"] if "metadata" in body else agent.get("metadata", {})
            body["metadata"] = {**had, "tags": self.tags}
        if self.rules:
            known: Json = agent.get("policy", {})
            policy = {side: dict(known.get(side, {})) for side in _SIDES}
            for (kind, side), patterns in self.rules.items():
                policy[side][kind] = patterns
            body["policy"] = policy
        return body


class PolicyFile(JsonFile):
    """The path of a file with a policy in it, or `-` for standard input. A rule with a typo would hold
    nothing, so every name is checked here already."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it. Raises BadParameter."""
        policy = super().convert(value, param, ctx)
        said = unknown_fields(policy, _SIDES)
        if said is not None:
            self.fail(f"the policy: {said}", param, ctx)
        for side, grant in policy.items():
            said = unknown_fields(grant, _KINDS) if isinstance(grant, dict) else "this is no JSON object."
            if said is not None:
                self.fail(f"the policy's {side}: {said}", param, ctx)
        return policy


_OPTIONS = (
    click.option("--type", "kind", help="What kind of agent it is, in a word of yours."),
    click.option(
        "--capability", "capabilities", multiple=True, metavar="WORD", help="What it can do; may be repeated."
    ),
    click.option(
        "--tag", "tags", multiple=True, metavar="WORD", help="A word to find it by; may be repeated."
    ),
    click.option("--metadata", type=JsonText(mapping=True), help="Any JSON object."),
    *(
        click.option(
            f"--{kind}-{side}",
            multiple=True,
            metavar="PATTERN",
            help=f"{_RULES[kind, side]}; may be repeated.",
        )
        for kind, side in _RULES
    ),
    click.option(
        "--policy",
        type=PolicyFile(mapping=True),
        metavar="FILE.json",
        help="Its whole policy, or - for stdin.",
    ),
)


def sets_fields(command: Callable[P, R]) -> Callable[..., R]:
    """Give a command these options; it gets `wanted`, an AgentFields."""

    @functools.wraps(command)
    def collected(*args: Any, **options: Any) -> R:
        rules = {(kind, side): list(options.pop(f"{kind}_{side}")) for kind, side in _RULES}
        policy, tags = options.pop("policy"), options.pop("tags")
        rules = {name: patterns for name, patterns in rules.items() if patterns}
        if policy is not None and rules:
            raise click.UsageError("--policy is the whole policy, so rules do not go with it")
        fields = {
            "type": options.pop("kind"),
            "capabilities": list(options.pop("capabilities")) or None,
            "metadata": options.pop("metadata"),
            "policy": policy,
        }
        wanted: Any = AgentFields(given(fields), list(tags) or None, rules)
        return command(*args, wanted=wanted, **options)

    return with_options(_OPTIONS)(collected)
