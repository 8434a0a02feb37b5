"""`artcafe operator`: the group of commands for the operator of the platform."""

import click

from artcafe.cli.lazy import LazyCommand, LazyGroup

_SEED = "artcafe.cli.operator_seed"

SECTIONS = {
    "Tenants": {
        "tenants": LazyCommand(
            "artcafe.cli.operator_tenants:tenants", "All tenants: list, show, suspend, resume, set."
        ),
        "log": LazyCommand("artcafe.cli.operator_log:log", "Who made, deleted and operated tenants."),
    },
    "The seed of all keys of the bus": {
        "show": LazyCommand(f"{_SEED}:show", "Show the public key of each seed."),
        "rotate": LazyCommand(f"{_SEED}:rotate", "Make the next seed, and say what to do with it."),
        "switch": LazyCommand(f"{_SEED}:switch", "Put the next seed in force."),
        "forget": LazyCommand(f"{_SEED}:forget", "Remove the seeds that are not in force."),
    },
}


@click.group(cls=LazyGroup, sections=SECTIONS)
def operator() -> None:
    """For operators of the platform: all tenants with their plans, and the operator seed.

    Tenants are asked for over REST, by somebody who is an operator (ARTCAFE_OPERATORS, or the owner of the
    machine with `artcafe up`). The seed lies in the data directory: rotate it when somebody may have read
    it. A rotation disconnects everybody for a moment, and loses no tenant. Page tokens, open challenges and
    kept answers are void after it, unless ARTCAFE_SECRET_KEY is set.

    \b
    Examples:
      artcafe operator tenants list --status suspended
      artcafe operator tenants set acme --plan growth --limit agents=200
      artcafe operator log --action tenant.delete
      artcafe operator rotate                 make the next seed; nothing uses it yet
      artcafe nats-config --next > nats.conf.next
      artcafe operator switch                 while servers and NATS are stopped
      artcafe operator forget                 when everything runs again
    """
