"""A channel."""

import pytest

from tests.kit.records import a_channel


@pytest.mark.parametrize(("subject", "pattern"), [("", "tasks"), ("jobs", "jobs"), ("jobs.>", "jobs.>")])
def test_a_channel_is_the_subject_of_its_id_unless_it_was_given_another(subject: str, pattern: str) -> None:
    assert a_channel("tasks", subject=subject).pattern == pattern
