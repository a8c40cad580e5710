"""Signatures under reports: Ed25519 keys in files of our own, a list of those that are trusted, and what a signature says.

What is signed is the report's digest with the role, the name, the time and the statement, behind a line that names what it is, so that a
signature under one thing can never pass for one under another. Whoever verifies computes the digest anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from audit.custody import Signature
from audit.keys import KeyFileError
from audit.person import fold
from phi_guard.runtime import keep_private, state_dir

Role: TypeAlias = Literal["scan", "reviewer", "approver"]
ROLES: Final[tuple[Role, ...]] = ("scan", "reviewer", "approver")
"""``scan``: what the tool printed is this; ``reviewer``: I have looked at the sample; ``approver``: I answer for the verdict."""
STATEMENTS: Final[dict[str, str]] = {
    "scan": "This is the report as it was printed.",
    "reviewer": "I have looked at my part of the sample, and what I decided is in this report.",
    "approver": "I have read this report and answer for its verdict.",
}
"""What each role signs for where nothing else is said."""

DOMAIN: Final = b"phi-audit.signature/1\n"
TRUSTED: Final = "trusted.json"
TRUSTED_SCHEMA: Final = "phi-audit.trusted/1"
FOLDER: Final = "keys"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
State: TypeAlias = Literal["valid", "invalid", "untrusted", "expired"]


@dataclass(frozen=True, slots=True)
class Trusted:
    """A public key that is trusted in a role.

    Args:
        name: of its owner.
        role: what it may sign as.
        public_key: 64 hexadecimal digits.
        since: from when, ISO 8601.
        until: until when; empty for as long as it stands here.
    """

    name: str
    role: str
    public_key: str
    since: str
    until: str = ""


def make_key(directory: Path, name: str, passphrase: bytes = b"") -> str:
    """Make a key of our own and keep it in ``keys/NAME.pem``, mode 0600.

    Args:
        directory: the audit's own.
        name: letters, digits, ``.``, ``_``, ``-``.
        passphrase: encrypts the file; empty for none.

    Returns:
        The public key, 64 hexadecimal digits.

    Raises:
        KeyFileError: there is one of that name, or it cannot be written.
        RuntimeDirectoryError: the directory is not ours alone.
    """
    path = _place(directory, name)
    key = Ed25519PrivateKey.generate()
    how: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path}: there is a key of that name; choose another, a key is never written over") from None
    except OSError as fault:
        raise KeyFileError(f"{path}: cannot be made ({fault.strerror}); check the directory and the space left") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        with suppress(OSError):
            path.unlink()
        raise KeyFileError(f"{path}: cannot be written ({fault.strerror}); check the space left") from None
    return _public(key)


def load_key(directory: Path, name: str, passphrase: bytes = b"") -> Ed25519PrivateKey:
    """The key of that name.

    Raises:
        KeyFileError: it is not there, is none, or the passphrase is not its own.
        RuntimeDirectoryError: the file is a link or belongs to another user.
    """
    path = _place(directory, name)
    keep_private(path.parent, [path.name])
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase or None)
    except OSError as fault:
        raise KeyFileError(f"{path}: cannot be read ({fault.strerror}); make one with phi-audit keys new {name}") from None
    except TypeError:
        what = "has no passphrase, and one was given" if passphrase else "has a passphrase; give it with --passphrase-from"
        raise KeyFileError(f"{path}: {what}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: is no key, or the passphrase is another") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: is no Ed25519 key; make one with phi-audit keys new NAME")
    return key


def own_keys(directory: Path) -> list[str]:
    """Names of the keys there are, sorted; whether they can be read is not asked."""
    folder = directory / FOLDER
    return sorted(path.stem for path in folder.glob("*.pem")) if folder.is_dir() else []


def public_key(key: Ed25519PrivateKey) -> str:
    """Its public half, 64 hexadecimal digits."""
    return _public(key)


def sign(report_digest: str, role: str, name: str, at: str, key: Ed25519PrivateKey, statement: str = "") -> Signature:
    """Sign a report.

    Args:
        report_digest: the report's own digest, computed anew by the caller.
        role: one of `ROLES`.
        name: who signs.
        at: when, ISO 8601.
        key: of who signs.
        statement: what is signed for; empty for the role's own of `STATEMENTS`.
    """
    statement = statement or STATEMENTS[role]
    signed = key.sign(_message(report_digest, role, name, at, statement))
    return Signature(role, name, at, _public(key), signed.hex(), statement)


def check(signature: Signature, report_digest: str, trusted: Iterable[Trusted]) -> State:
    """Whether a signature is one, under this report, by a key that was trusted in its role, as that person's, when it was made.

    The time is the signer's own word: whoever holds a key can write an earlier one. The audit's log has the time of its own.
    """
    try:
        signed = bytes.fromhex(signature.signature)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.public_key))
        key.verify(signed, _message(report_digest, signature.role, signature.name, signature.at, signature.statement))
    except (ValueError, InvalidSignature):
        return "invalid"
    known = [each for each in trusted if each.public_key == signature.public_key and each.role == signature.role]
    known = [each for each in known if fold(each.name) == fold(signature.name)]  # whose key it is, the signer does not choose
    if not known:
        return "untrusted"
    return "valid" if any(_within(signature.at, each) for each in known) else "expired"


def stands(signature: Signature, trusted: Iterable[Trusted], now: datetime) -> bool:
    """Whether the key of a signature is still trusted in its role: what nobody can give an earlier date.

    Args:
        signature: a valid one.
        trusted: the list.
        now: with a zone.
    """
    key = signature.public_key, signature.role
    return any((each.public_key, each.role) == key and _within(now.isoformat(), each) for each in trusted)


def read_trusted(path: Path) -> tuple[Trusted, ...]:
    """The trusted keys of a file; none where there is no file.

    Raises:
        KeyFileError: it cannot be read or is no list of trusted keys.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except OSError as fault:
        raise KeyFileError(f"{path}: cannot be read ({fault.strerror}); name another with --trust") from None
    except (ValueError, RecursionError):
        raise KeyFileError(f"{path}: is no JSON; restore it, or trust the keys again with phi-audit keys trust") from None
    rows = held.get("keys") if isinstance(held, dict) and held.get("schema") == TRUSTED_SCHEMA else None
    if not isinstance(rows, list):
        raise KeyFileError(f"{path}: is no {TRUSTED_SCHEMA}; name another with --trust")
    return tuple(_trusted(path, place, row) for place, row in enumerate(rows))


def trust(directory: Path, entry: Trusted) -> None:
    """Trust a key in a role from now on.

    Raises:
        KeyFileError: it is no public key or no role, or it is trusted in that role already, or as somebody else's, or the list cannot be
            written.
    """
    path = directory / TRUSTED
    known = read_trusted(path)
    if not entry.name.strip() or len(entry.name) > 100 or not entry.name.isprintable():
        raise KeyFileError("a name is of 1 to 100 characters in one line")
    if entry.role not in ROLES:
        raise KeyFileError(f"there is no role of that name; there are {', '.join(ROLES)}")
    if not _is_public(entry.public_key):
        raise KeyFileError("a public key is 64 hexadecimal digits in lower case, as phi-audit keys list prints it")
    if any(each.public_key == entry.public_key and fold(each.name) != fold(entry.name) for each in known):
        raise KeyFileError(f"{path}: this key is trusted under another name (phi-audit keys list); sign under that, or make another")
    if any(each.public_key == entry.public_key and each.role == entry.role and not each.until for each in known):
        raise KeyFileError(f"{path}: this key is trusted as {entry.role} already")
    _keep(directory, (*known, entry))


def untrust(directory: Path, name: str, until: str) -> int:
    """End the trust in all keys of a name; what they signed before stays valid.

    Returns:
        How many it ended.

    Raises:
        KeyFileError: the list cannot be read or written.
    """
    known = read_trusted(directory / TRUSTED)
    ended = [each for each in known if each.name == name and not each.until]
    if ended:
        _keep(directory, tuple(replace(each, until=until) if each in ended else each for each in known))
    return len(ended)


def _message(digest: str, role: str, name: str, at: str, statement: str) -> bytes:
    told = {"digest": digest, "role": role, "name": name, "at": at, "statement": statement}
    return DOMAIN + json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def _is_public(text: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        return False
    return bool(_HEX.fullmatch(text))


def _place(directory: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise KeyFileError("a key's name is of letters, digits, '.', '_' and '-', at most 64")
    return state_dir(state_dir(directory) / FOLDER) / f"{name}.pem"


def _within(at: str, entry: Trusted) -> bool:
    try:
        moment = datetime.fromisoformat(at)
        return datetime.fromisoformat(entry.since) <= moment and (not entry.until or moment <= datetime.fromisoformat(entry.until))
    except (ValueError, TypeError):  # TypeError: one of them has no time zone
        return False


def _trusted(path: Path, place: int, row: Any) -> Trusted:
    wanted = ("name", "role", "public_key", "since", "until")
    if not isinstance(row, dict) or set(row) != set(wanted) or not all(isinstance(row[key], str) for key in wanted):
        raise KeyFileError(f"{path}: keys[{place}]: must hold {', '.join(wanted)}, each as text, and nothing else")
    if row["role"] not in ROLES or not _HEX.fullmatch(row["public_key"]):
        raise KeyFileError(f"{path}: keys[{place}]: has no role of ours, or no public key of 64 hexadecimal digits")
    return Trusted(*(row[key] for key in wanted))


def _keep(directory: Path, known: tuple[Trusted, ...]) -> None:
    path = state_dir(directory) / TRUSTED
    content = json.dumps({"schema": TRUSTED_SCHEMA, "keys": [asdict(each) for each in known]}, indent=2, ensure_ascii=False) + "\n"
    beside = path.with_suffix(f".{os.getpid()}.new")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except OSError as fault:
        with suppress(OSError):
            beside.unlink()
        raise KeyFileError(f"{path}: cannot be written ({fault.strerror}); check the space left") from None
