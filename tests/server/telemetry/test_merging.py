"""The metrics of several processes, as those of one server."""

from artcafe.server.telemetry import names
from artcafe.server.telemetry.instruments import metric_of, one
from artcafe.server.telemetry.merging import Merging, Report, report_of
from tests.kit.metrics import values


def report(published: int, stall: float, agents: int, up: float = 1.0) -> Report:
    return report_of(
        [
            metric_of(names.PUBLISHED_MESSAGES, one(published)),
            metric_of(names.LONGEST_STALL, one(stall)),
            metric_of(names.CONNECTIONS, {("agent", "starter"): float(agents)}),
            metric_of(names.DEPENDENCY_UP, {("bus",): up}),
        ]
    )


def test_values_are_joined_as_their_names_say() -> None:
    found = values(Merging().merged([report(3, 0.5, 2), report(4, 0.1, 5, up=0.0)]))
    assert found == {
        "artcafe_published_messages_total": 7,
        "artcafe_event_loop_longest_stall_seconds": 0.5,
        'artcafe_connections{kind="agent",plan="starter"}': 7,
        'artcafe_dependency_up{dependency="bus"}': 0,
    }


def test_what_one_that_ended_counted_stays_and_its_gauges_are_gone() -> None:
    merging = Merging()
    merging.end(report(3, 9.0, 2))
    merging.end(report(10, 9.0, 2))
    found = values(merging.merged([report(4, 0.1, 5)]))
    assert found["artcafe_published_messages_total"] == 17
    assert found["artcafe_event_loop_longest_stall_seconds"] == 0.1
    assert found['artcafe_connections{kind="agent",plan="starter"}'] == 5
    assert values(merging.merged([])) == {"artcafe_published_messages_total": 13}


def test_one_that_ended_without_a_word_changes_nothing() -> None:
    merging = Merging()
    merging.end([])
    assert values(merging.merged([report(4, 0.1, 5)]))["artcafe_published_messages_total"] == 4
