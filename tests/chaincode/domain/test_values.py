# SPDX-License-Identifier: Apache-2.0
"""Values are well formed or do not exist, and their texts lead back to them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.domain import values
from chaincode.domain.errors import DatedInTheFuture, InvalidField, NotNormalised, RepeatedEntry
from chaincode.domain.values import (
    Blob,
    CommitId,
    Count,
    Digest,
    FilePath,
    Instant,
    Name,
    Number,
    OrgId,
    Purposes,
    Ref,
    Role,
    Seconds,
    Setting,
    SignedInstant,
    Territory,
    Text,
)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (OrgId, "HospitalMSP"),
        (OrgId, "a.b-C"),
        (Name, "wdbc"),
        (Name, "a" * 64),
        (Name, "0.1_b-c"),
        (Role, "auditor"),
        (Territory, "US-WI"),
        (Territory, "EU"),
        (CommitId, "0a" * 20),
        (CommitId, "0a" * 32),
        (FilePath, "weights/äö.bin"),
        (FilePath, ".hidden"),
        (Text, "two\nlines\tand a tab"),
        (Setting, ""),
        (Setting, "x" * 65_536),
    ],
)
def test_a_well_formed_value_is_its_text(kind, text):
    assert kind(text) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (OrgId, ""),
        (OrgId, "A B"),
        (OrgId, "A'"),
        (OrgId, "-A"),
        (OrgId, "Hospital-MSP-"),
        (OrgId, "L" * 65),
        (OrgId, '"LabMSP"'),
        (OrgId, "A\n"),
        (Name, "Wdbc"),
        (Name, "a" * 65),
        (Name, "a:b"),
        (Name, "."),
        (Role, "Auditor"),
        (Role, "1"),
        (Territory, "de"),
        (CommitId, "0A" * 20),
        (CommitId, "0a" * 21),
        (FilePath, ""),
        (FilePath, "/etc/passwd"),
        (FilePath, "a/../b"),
        (FilePath, "a//b"),
        (FilePath, "a\\b"),
        (FilePath, "a\x00"),
        (FilePath, "a" * 513),
        (Text, ""),
        (Text, "a" * 4001),
        (Setting, "a" * 65_537),
        (Setting, "red: \x1b[31m"),
        (Text, "bell\x07"),
        (Text, "half \ud800"),
    ],
)
def test_a_malformed_value_does_not_exist(kind, text):
    with pytest.raises(InvalidField):
        kind(text)


@pytest.mark.parametrize("kind", [Text, FilePath])
def test_text_is_in_normal_form_c(kind):
    with pytest.raises(NotNormalised):
        kind("e\u0301")
    assert kind("\u00e9") == "é"


@given(st.binary(min_size=32, max_size=32))
def test_a_digest_leads_back_from_its_text(data):
    assert Digest.parse(str(Digest(data))) == data
    assert repr(Digest(data)) == f"Digest.parse('{data.hex()}')"


@pytest.mark.parametrize("text", ["", "00" * 31, "0A" * 32, " " + "00" * 32, "zz" * 32])
def test_other_text_is_no_digest(text):
    with pytest.raises(InvalidField):
        Digest.parse(text)


def test_other_bytes_are_no_digest():
    with pytest.raises(InvalidField):
        Digest(b"short")


@given(st.binary(max_size=100))
def test_a_blob_leads_back_from_its_text(data):
    assert Blob.parse(str(Blob(data))) == data
    assert repr(Blob(data)) == f"Blob({data!r})"


@pytest.mark.parametrize("text", ["A", "A===", "AA", "AB==", "A A=", "_-==", "ä"])
def test_base64_is_written_in_one_way(text):
    with pytest.raises(InvalidField):
        Blob.parse(text)


@given(st.integers(0, 2**64 - 1))
def test_purposes_lead_back_from_their_text(bits):
    assert Purposes.parse(str(Purposes(bits))) == bits


@pytest.mark.parametrize("bits", [-1, 2**64])
def test_purposes_are_64_bits(bits):
    with pytest.raises(InvalidField):
        Purposes(bits)


@pytest.mark.parametrize("text", ["", "0", "F" * 16, "0" * 17])
def test_other_text_is_no_set_of_purposes(text):
    with pytest.raises(InvalidField):
        Purposes.parse(text)


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (Count, -1),
        (Count, 2**53),
        (Instant, -1),
        (Instant, 253_402_300_800_000),
        (SignedInstant, -62_135_596_800_001),
        (SignedInstant, 253_402_300_800_000),
        (Number, 0),
        (Number, 1_000_000_000),
        (Seconds, 0),
        (Seconds, 3_155_760_001),
    ],
)
def test_numbers_are_bounded(kind, number):
    with pytest.raises(InvalidField):
        kind(number)


@pytest.mark.parametrize(
    ("kind", "milliseconds", "text"),
    [
        (Instant, 0, "1970-01-01T00:00:00+00:00"),
        (Instant, 253_402_300_799_999, "9999-12-31T23:59:59.999000+00:00"),
        (SignedInstant, -62_135_596_800_000, "0001-01-01T00:00:00+00:00"),
        (SignedInstant, -1_820_534_400_000, "1912-04-24T00:00:00+00:00"),
        (SignedInstant, 253_402_300_799_999, "9999-12-31T23:59:59.999000+00:00"),
    ],
)
def test_instants_are_those_that_can_be_written_in_four_digits_of_year(kind, milliseconds, text):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert (epoch + timedelta(milliseconds=kind(milliseconds))).isoformat() == text


@given(st.integers(0, 253_402_300_799_999), st.integers(1, 3_155_760_000))
def test_a_time_plus_a_duration_is_a_time(start, duration):
    assert Instant(start).plus(Seconds(duration)) == min(start + 1000 * duration, 253_402_300_799_999)


def test_after_the_last_number_there_is_none():
    assert Number.after(0, "/number") == 1
    assert Number.after(999_999_998, "/number") == 999_999_999
    with pytest.raises(InvalidField) as refused:
        Number.after(999_999_999, "/number")
    assert refused.value.pointer == "/number"


@given(
    st.sampled_from(["dataset", "dataset-version", "run", "x"]),
    st.lists(st.from_regex(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", fullmatch=True), min_size=1, max_size=4),
    st.integers(1, 999_999_999),
)
def test_a_reference_leads_back_from_its_parts(kind, parts, number):
    reference = Ref.of(kind, *parts)
    assert (reference.kind, reference.name, reference.parts) == (kind, parts[0], tuple(parts))
    assert Ref.of(reference.kind, *reference.parts) == reference
    assert Ref.of(kind, parts[0]).number is None
    assert Ref.of(kind, parts[0], number).number == number


@pytest.mark.parametrize(
    "text",
    ["", "net", "model", "model:", "run:Net", "Run:net", "model-version::1", "a:b:c:d:e:f", "model-:net", "a:b:"],
)
def test_other_text_is_no_reference(text):
    with pytest.raises(InvalidField):
        Ref(text)


def test_references_are_made_by_kind():
    assert values.dataset_ref("d") == "dataset:d"
    assert values.dataset_version_ref("d", 1) == "dataset-version:d:1"
    assert values.model_ref("m") == "model:m"
    assert values.model_version_ref("m", 2) == "model-version:m:2"
    assert values.run_ref("r") == "run:r"
    assert values.evaluation_ref("e") == "evaluation:e"


def test_clocks_may_differ_by_two_minutes():
    values.refuse_future("/finished", Instant(120_000), Instant(0))
    with pytest.raises(DatedInTheFuture):
        values.refuse_future("/finished", Instant(120_001), Instant(0))


def test_a_repeated_entry_is_named():
    values.refuse_repeats("/x", ["a", "b"])
    with pytest.raises(RepeatedEntry) as caught:
        values.refuse_repeats("/x", ["a", "b", "a"])
    assert caught.value == RepeatedEntry("/x", "a")
