"""The grammar of subjects: what is accepted, in which forms, and what never is."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import (
    MAX_BYTES,
    MAX_TOKENS,
    REPLY_ADDRESS_LENGTH,
    Address,
    from_stored,
    matches,
    parse_pattern,
    parse_subject,
    pattern_to_bus,
    to_bus,
    to_stored,
)
from tests.kit.subjects import (
    FORMS,
    TENANT,
    WORD,
    kind,
    names,
    pattern_or_none,
    patterns,
    subject_or_none,
    texts,
)


@given(texts)
@example("tasks.new")
@example("tenant.acme")
@example("agents.a")
def test_a_subject_is_read_as_written_or_without_its_old_prefix(text: str) -> None:
    address = subject_or_none(text)
    assume(address is not None)
    assert address is not None
    assert address.form + address.subject == text
    assert address.platform == (kind(address.subject) == "platform")
    assert (address.owner is not None) == (kind(address.subject) in {"direct", "inbox"})
    if address.owner is not None:
        assert address.subject.split(".")[1] == address.owner


@given(texts | patterns)
@example("tenant.acme.tenant.other.x")
@example("agents.acme.agents.acme.x")
def test_a_short_form_means_the_same_when_it_is_read_again(text: str) -> None:
    """A reply_to and a channel's id are kept in their short form and parsed again later."""
    address = pattern_or_none(text)
    assume(address is not None)
    assert address is not None
    again = parse_pattern(address.subject, TENANT)
    assert again == Address(address.subject, "", address.owner, platform=address.platform)


@given(texts)
def test_a_subject_is_also_a_pattern_of_its_own(text: str) -> None:
    assert pattern_or_none(text) == subject_or_none(text)


BAD_CHARACTERS = [
    " ",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\0",
    "\x7f",
    "\x1b",
    "\x85",
    "\u2028",
    "é",
    "\u0661",
    '"',
    "\\",
    "$",
    ":",
    "/",
]


@given(texts, st.sampled_from(BAD_CHARACTERS), st.integers(0, 60))
@example("tasks", "\n", 5)
@example("tasks", "\r\n", 5)
def test_one_bad_character_anywhere_is_refused(text: str, bad: str, position: int) -> None:
    spoilt = text[:position] + bad + text[position:]
    for parse in (parse_subject, parse_pattern):
        with pytest.raises(ArtcafeError) as refused:
            parse(spoilt, TENANT)
        assert refused.value.code is Code.invalid_subject


@given(st.text(max_size=12) | st.text(WORD + ".*>", max_size=12), names)
def test_nothing_accepted_could_end_a_line_of_the_nats_protocol(text: str, sender: str) -> None:
    if (pattern := pattern_or_none(text)) is not None:
        assert re.fullmatch(r"[A-Za-z0-9_.*>-]+", pattern_to_bus(pattern.subject))
    if (subject := subject_or_none(text)) is not None:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", to_bus(sender, subject.subject))


def test_the_refusal_does_not_repeat_what_was_sent() -> None:
    for parse in (parse_subject, parse_pattern):
        with pytest.raises(ArtcafeError) as refused:
            parse("tasks.<script>", TENANT)
        assert "script" not in str(refused.value)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a b", "a.*", "*", ">", "a.>", "a*"])
def test_what_is_no_subject(text: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        parse_subject(text, TENANT)
    assert refused.value.code is Code.invalid_subject


@pytest.mark.parametrize(
    "text", ["", "a.", ".>", ">.a", "a.>.b", ">>", "**", "a*", "*a", "a>", "a.**", "*>", "a..*", ">.", ">\n"]
)
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        parse_pattern(text, TENANT)
    assert refused.value.code is Code.invalid_subject


@pytest.mark.parametrize(
    "text", [">", "*", "*.*", "a.>", "a.*", "a.*.b", "*.>", "a.*.>", "agents.*", "agents.*.x"]
)
def test_what_is_a_pattern(text: str) -> None:
    assert parse_pattern(text, TENANT).subject == text


@pytest.mark.parametrize("parse", [parse_subject, parse_pattern])
def test_the_limits_are_sixteen_tokens_and_255_bytes(parse: object) -> None:
    assert (MAX_TOKENS, MAX_BYTES) == (16, 255)
    assert callable(parse)
    for most in (
        ".".join(["a"] * 16),
        "a" * 255,
        "a" * 127 + "." + "b" * 127,
        "tenant.acme.channel." + ".".join("a" * 16),
    ):
        parse(most, TENANT)
    for too_much in (
        ".".join(["a"] * 17),
        "a" * 256,
        "a" * 127 + "." + "b" * 128,
        "tenant.acme." + ".".join("a" * 17),
    ):
        with pytest.raises(ArtcafeError) as refused:
            parse(too_much, TENANT)
        assert refused.value.code is Code.invalid_subject


# Old forms.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "short", ["tasks.new", "tasks", "agents.b.go", "agents.presence.online", "inbox.b.t1", "sys.x"]
)
def test_an_old_form_is_the_short_subject_and_comes_back_out(form: str, short: str) -> None:
    plain = parse_subject(short, TENANT)
    assert parse_subject(form + short, TENANT) == Address(short, form, plain.owner, platform=plain.platform)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "short", [">", "*", "tasks.*", "*.new", "tasks.>", "agents.b.>", "agents.presence.*"]
)
def test_an_old_form_of_a_pattern(form: str, short: str) -> None:
    plain = parse_pattern(short, TENANT)
    assert parse_pattern(form + short, TENANT) == Address(short, form, plain.owner, platform=plain.platform)


@given(st.sampled_from(["tenant.{}.", "tenant.{}.channel.", "channels.{}."]), names, names, texts)
def test_another_tenants_form_is_refused(form: str, tenant: str, other: str, text: str) -> None:
    assume(tenant != other)
    for parse in (parse_subject, parse_pattern):
        with pytest.raises(ArtcafeError) as refused:
            parse((form.format(other) + text)[:MAX_BYTES].rstrip("."), tenant)
        assert refused.value.code is Code.forbidden


@pytest.mark.parametrize(
    "text",
    [
        "tenant.>",
        "channels.>",
        "tenant.*.x",
        "channels.*.x",
        "tenant.*.>",
        "tenant.*.channel.x",
        "channels.*.*",
    ],
)
def test_a_pattern_over_all_tenants_forms_is_refused(text: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        parse_pattern(text, TENANT)
    assert refused.value.code is Code.forbidden


@pytest.mark.parametrize("text", ["tenant", "channels", "tenant.acme", "tenant.other", "channels.other"])
def test_a_short_one_is_an_ordinary_subject(text: str) -> None:
    assert parse_subject(text, TENANT) == Address(text, "", None, platform=False)


def test_another_tenant_in_the_form_for_agents_is_an_agent_of_this_one() -> None:
    """`agents.other.x` cannot be told from a direct message; it stays in this tenant either way."""
    assert parse_subject("agents.other.x", TENANT).owner == "other"


def test_a_form_within_a_form_is_refused() -> None:
    for text in (
        "tenant.acme.channels.acme.x",
        "agents.acme.agents.acme.x",
        "channels.acme.tenant.acme.channel.x",
    ):
        with pytest.raises(ArtcafeError) as refused:
            parse_subject(text, TENANT)
        assert refused.value.code is Code.invalid_subject


@pytest.mark.parametrize("shared", ["presence", "control", "prompt", "status", "hb"])
@pytest.mark.parametrize("rest", ["online", "a.stop"])
def test_the_reserved_words_below_agents_are_shared(shared: str, rest: str) -> None:
    """In every tenant, also in one that has such a name itself."""
    text = f"agents.{shared}.{rest}"
    for tenant in (TENANT, shared):
        assert parse_subject(text, tenant) == Address(text, "", None, platform=False)
    assert to_bus("a", text) == f"m.a.{text}"
    assert parse_pattern(f"agents.{shared}.>", TENANT).owner is None


@pytest.mark.parametrize("first", ["sys", "presence", "dlq"])
def test_the_platforms_own_subjects_are_marked(first: str) -> None:
    for text in (first, f"{first}.x", f"{first}.x.y"):
        assert parse_subject(text, TENANT).platform
        assert to_bus("sys", text) == f"r.sys.{text}"
    assert parse_pattern(f"{first}.>", TENANT).platform
    assert not parse_subject(f"{first}x", TENANT).platform
    assert not parse_subject(f"x.{first}", TENANT).platform


@pytest.mark.parametrize("text", ["inbox", "inbox.a", "inbox.*", "inbox.>", "agents.>"])
def test_an_agents_own_space_is_named_in_full(text: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        parse_pattern(text, TENANT)
    assert refused.value.code is Code.invalid_subject


ADDRESS = f"inbox._{'p' * 16}.{'t' * 24}"


def test_a_reply_address_is_below_the_inbox_of_one_process() -> None:
    for form in ("", f"tenant.{TENANT}.channel.", f"channels.{TENANT}."):
        address = parse_subject(form + ADDRESS, TENANT)
        assert (address.subject, address.reply) == (ADDRESS, True)
    assert to_bus("a", ADDRESS) == f"_INBOX.{'p' * 16}.{'t' * 24}.a"
    assert len(ADDRESS) == REPLY_ADDRESS_LENGTH
    assert not parse_subject("inbox.a.1", TENANT).reply


@pytest.mark.parametrize("pattern", ["inbox.*.>", "inbox.*.*", ">", "*.*.*", "*.>"])
def test_no_pattern_reaches_a_reply_address(pattern: str) -> None:
    assert not matches(parse_pattern(pattern, TENANT).subject, ADDRESS)


@pytest.mark.parametrize("pattern", [ADDRESS, "inbox._x.>", "inbox._.*", f"inbox._{'p' * 16}.>"])
def test_nobody_subscribes_to_reply_addresses(pattern: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        parse_pattern(pattern, TENANT)
    assert refused.value.code is Code.invalid_subject


@pytest.mark.parametrize("text", ["inbox._x.y", ADDRESS + "x", ADDRESS[:-1], ADDRESS + ".x", "inbox._.x"])
def test_what_only_looks_like_a_reply_address_is_no_subject(text: str) -> None:
    with pytest.raises(ArtcafeError) as refused:
        parse_subject(text, TENANT)
    assert refused.value.code is Code.invalid_subject


def test_what_is_stored_is_told_on_the_bus_subject_it_was_published_to() -> None:
    assert to_stored(to_bus("a1", "tasks.new")) == "p.a1.tasks.new"
    assert to_stored(pattern_to_bus("tasks.>")) == "p.*.tasks.>"
    assert from_stored("p.a1.tasks.new") == to_bus("a1", "tasks.new")


@pytest.mark.parametrize("text", ["d.a1.a2.x", "i.a1.a2.x", "r.sys.sys.x", "p.a1.x", "m", "m.", "mm.a.x", ""])
def test_only_shared_subjects_are_stored(text: str) -> None:
    with pytest.raises(ValueError, match="shared"):
        to_stored(text)


@pytest.mark.parametrize("text", ["m.a1.x", "z.tasks.1", "p", "p.", ""])
def test_what_was_not_stored_as_a_message_is_told_to_nobody(text: str) -> None:
    with pytest.raises(ValueError, match="stored message"):
        from_stored(text)
