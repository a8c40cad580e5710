"""Signatures: valid under the report they were made for, by keys that people trust, in the role and the time they trust them for."""

from __future__ import annotations

import json
import stat
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit import signing
from audit.keys import KeyFileError
from audit.signing import Trusted

DIGEST, OTHER = "ab" * 32, "cd" * 32
AT = "2026-11-20T12:00:00+00:00"
_ROW = {"name": "a", "role": "root", "public_key": "ab" * 32, "since": "", "until": ""}
_ROOT = json.dumps({"schema": "phi-audit.trusted/1", "keys": [_ROW]})


@pytest.fixture
def key(tmp_path):
    """A key of our own, as a file."""
    signing.make_key(tmp_path, "ada")
    return signing.load_key(tmp_path, "ada")


@pytest.fixture
def trusted(key):
    """Trusted as approver since the beginning of the month."""
    return (Trusted("ada", "approver", signing.public_key(key), "2026-11-01T00:00:00+00:00"),)


def test_a_signature_is_valid_under_its_report(key, trusted):
    """It says who, when, as what, and for what."""
    made = signing.sign(DIGEST, "approver", "Ada", AT, key)
    assert (made.role, made.name, made.at, len(made.signature)) == ("approver", "Ada", AT, 128)
    assert made.statement == signing.STATEMENTS["approver"]
    assert signing.check(made, DIGEST, trusted) == "valid"


def test_what_is_signed_is_the_documented_message(key):
    """Anybody can check it with any Ed25519: the line that names it, then canonical JSON."""
    made = signing.sign(DIGEST, "approver", "Zoë", AT, key, "I agree")
    told = {"at": AT, "digest": DIGEST, "name": "Zoë", "role": "approver", "statement": "I agree"}
    message = b"phi-audit.signature/1\n" + json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(made.public_key)).verify(bytes.fromhex(made.signature), message)


@pytest.mark.parametrize(
    "change",
    [{"role": "reviewer"}, {"name": "Eve"}, {"at": "2026-11-20T12:00:01+00:00"}, {"statement": "nothing"}, {"signature": "00" * 64},
     {"signature": "zz"}, {"signature": ""}, {"public_key": "00" * 32}, {"public_key": "zz" * 32}],
    ids=["role", "name", "at", "statement", "signature", "no hex", "empty", "key", "no key"],
)  # fmt: skip
def test_a_changed_signature_is_invalid(key, trusted, change):
    """Every part of it is signed."""
    assert signing.check(replace(signing.sign(DIGEST, "approver", "Ada", AT, key), **change), DIGEST, trusted) == "invalid"


def test_a_signature_does_not_pass_under_another_report(key, trusted):
    """It was made for one digest."""
    assert signing.check(signing.sign(DIGEST, "approver", "Ada", AT, key), OTHER, trusted) == "invalid"


def test_a_signature_over_the_bare_digest_is_none(key, trusted):
    """The domain keeps apart what is signed for one purpose from what is signed for another."""
    made = signing.sign(DIGEST, "approver", "Ada", AT, key)
    bare = replace(made, signature=key.sign(bytes.fromhex(DIGEST)).hex())
    assert signing.check(bare, DIGEST, trusted) == "invalid"


def test_a_key_counts_only_in_its_role(key, trusted):
    """Who may review may not for that approve."""
    assert signing.check(signing.sign(DIGEST, "reviewer", "Ada", AT, key), DIGEST, trusted) == "untrusted"
    stranger = Ed25519PrivateKey.generate()
    assert signing.check(signing.sign(DIGEST, "approver", "Ada", AT, stranger), DIGEST, trusted) == "untrusted"
    assert signing.check(signing.sign(DIGEST, "approver", "Ada", AT, key), DIGEST, ()) == "untrusted"


@pytest.mark.parametrize(
    ("since", "until", "state"),
    [
        ("2026-11-20T12:00:00+00:00", "", "valid"),
        ("2026-11-20T13:00:00+01:00", "2026-11-20T12:00:00+00:00", "valid"),
        ("2026-11-20T12:00:01+00:00", "", "expired"),
        ("2026-11-01T00:00:00+00:00", "2026-11-20T11:59:59+00:00", "expired"),
        ("2026-11-01", "", "expired"),
    ],
)
def test_a_key_counts_only_in_its_time(key, trusted, since, until, state):
    """To the second, whatever the zone; a time without a zone is no time."""
    made = signing.sign(DIGEST, "approver", "Ada", AT, key)
    assert signing.check(made, DIGEST, (replace(trusted[0], since=since, until=until),)) == state


def test_a_key_file_is_ours_alone_and_never_written_over(tmp_path, key):
    """PKCS8, mode 0600."""
    path = tmp_path / "keys" / "ada.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    with pytest.raises(KeyFileError, match="there is a key of that name"):
        signing.make_key(tmp_path, "ada")
    assert signing.public_key(signing.load_key(tmp_path, "ada")) == signing.public_key(key)
    assert signing.own_keys(tmp_path) == ["ada"]


def test_a_passphrase_is_needed_and_must_be_the_one(tmp_path):
    """The file is encrypted; the message tells what is missing."""
    public = signing.make_key(tmp_path, "ada", b"correct horse")
    assert (tmp_path / "keys" / "ada.pem").read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert signing.public_key(signing.load_key(tmp_path, "ada", b"correct horse")) == public
    with pytest.raises(KeyFileError, match="--passphrase-from"):
        signing.load_key(tmp_path, "ada")
    with pytest.raises(KeyFileError, match="is another"):
        signing.load_key(tmp_path, "ada", b"wrong")


@pytest.mark.parametrize("name", ["", "../ada", "a/b", ".hidden", "a" * 65, "a\n"])
def test_a_name_cannot_lead_elsewhere(tmp_path, name):
    """It becomes part of a path."""
    with pytest.raises(KeyFileError, match="letters, digits"):
        signing.make_key(tmp_path, name)


def test_what_is_no_key_is_refused(tmp_path, key):
    """Without a word of what it holds."""
    (tmp_path / "keys" / "bob.pem").write_text("secret words")
    with pytest.raises(KeyFileError, match="is no key") as refused:
        signing.load_key(tmp_path, "bob")
    assert "secret" not in str(refused.value)
    with pytest.raises(KeyFileError, match="cannot be read"):
        signing.load_key(tmp_path, "eve")


def test_trust_is_given_once_and_ended(tmp_path, key):
    """What was signed before its end stays valid; after it, a new trust can begin."""
    public = signing.public_key(key)
    signing.trust(tmp_path, Trusted("ada", "approver", public, "2026-11-01T00:00:00+00:00"))
    with pytest.raises(KeyFileError, match="already"):
        signing.trust(tmp_path, Trusted("ada", "approver", public, "2026-11-02T00:00:00+00:00"))
    assert signing.untrust(tmp_path, "ada", "2026-11-21T00:00:00+00:00") == 1
    assert signing.untrust(tmp_path, "ada", "2026-11-22T00:00:00+00:00") == 0
    known = signing.read_trusted(tmp_path / signing.TRUSTED)
    assert [each.until for each in known] == ["2026-11-21T00:00:00+00:00"]
    assert signing.check(signing.sign(DIGEST, "approver", "Ada", AT, key), DIGEST, known) == "valid"
    later = signing.sign(DIGEST, "approver", "Ada", "2026-11-21T00:00:01+00:00", key)
    assert signing.check(later, DIGEST, known) == "expired"
    signing.trust(tmp_path, Trusted("ada", "approver", public, "2026-12-01T00:00:00+00:00"))
    assert len(signing.read_trusted(tmp_path / signing.TRUSTED)) == 2
    assert stat.S_IMODE((tmp_path / signing.TRUSTED).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "entry",
    [Trusted("ada", "owner", "ab" * 32, AT), Trusted("ada", "approver", "ab" * 31, AT), Trusted("ada", "approver", "xy" * 32, AT),
     Trusted("", "approver", "ab" * 32, AT), Trusted("a\nb", "approver", "ab" * 32, AT)],
    ids=["role", "short", "no hex", "no name", "two lines"],
)  # fmt: skip
def test_what_cannot_be_trusted_is_not_written(tmp_path, entry):
    """Nothing is left behind."""
    with pytest.raises(KeyFileError):
        signing.trust(tmp_path, entry)
    assert not (tmp_path / signing.TRUSTED).exists()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"schema": "phi-audit.trusted/2", "keys": []}', '{"schema": "phi-audit.trusted/1", "keys": [1]}',
     _ROOT,
     "[" * 100_000, "\udcff"],
    ids=["empty", "list", "no schema", "newer", "no entry", "no role", "deep", "no utf-8"],
)  # fmt: skip
def test_a_damaged_list_trusts_nobody(tmp_path, content):
    """It is refused, not taken for empty."""
    (tmp_path / "trusted.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(KeyFileError, match=r"trusted\.json"):
        signing.read_trusted(tmp_path / "trusted.json")
