"""Pseudonyms: a keyed tag in place of a value, the same for the same value, that nobody without the key can make or undo.

Under 45 CFR 164.514(c) a code may stand for a person only if it is not derived from information about them and the means to undo it stay
inside. A bare hash is neither: every telephone number there is can be hashed in a minute. A keyed one is still derived from the value, so
``standard: safe_harbor`` takes none, and elsewhere it is a choice: who holds the key can tell two records of one person.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import unicodedata
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, NoReturn

VARIABLE: Final = "PHI_GUARD_PSEUDONYM_KEY"
"""The environment variable that holds the key."""
KEY_MIN: Final = 32
"""Bytes a key must have at least."""

_FORM: Final = re.compile(r"<PSEUDONYM:([0-9a-f]{16})([0-9a-f]{8})>")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_MAKE: Final = "make one with: python -c 'import secrets; print(secrets.token_hex(32))'"


class BadKey(ValueError):  # turned into a fault by the caller
    """There is no usable key; the message says why and how to make one, and nothing of what was given."""


class Pseudonyms:
    """Makes the pseudonyms of one environment, and knows them again.

    Args:
        key: the secret; at least `KEY_MIN` bytes.
        env: the environment; another one gives other pseudonyms.

    Raises:
        BadKey: the key is too short, or nothing but a few bytes over and over.
    """

    __slots__ = ("_check", "_tag")

    def __init__(self, key: bytes, env: str) -> None:
        if len(key) < KEY_MIN:
            msg = f"{VARIABLE} holds {len(key)} bytes, and a key has {KEY_MIN} or more; {_MAKE}"
            raise BadKey(msg)
        if len(set(key)) < KEY_MIN // 4:
            msg = f"{VARIABLE} holds the same few bytes over and over; {_MAKE}"
            raise BadKey(msg)
        secret, person = blake2b(key, digest_size=64).digest(), f"phi-guard {env}"[:16].encode()
        self._tag = blake2b(b"tag", key=secret, person=person, digest_size=32).digest()
        self._check = blake2b(b"check", key=secret, person=person, digest_size=32).digest()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], env: str) -> Pseudonyms:
        """The pseudonyms under the key in `VARIABLE`, written in hexadecimal or base64.

        Raises:
            BadKey: it is not set, cannot be read, or is too short.
        """
        text = environ.get(VARIABLE, "").strip()
        if not text:
            msg = f"a pseudonym needs a key of {KEY_MIN} bytes or more in {VARIABLE}, and it is not set; {_MAKE}"
            raise BadKey(msg)
        if _HEX.fullmatch(text):
            return cls(bytes.fromhex(text), env)
        try:
            key = base64.b64decode(text.translate({45: 43, 95: 47}) + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = None
        if key is None:
            msg = f"{VARIABLE} is neither hexadecimal nor base64; {_MAKE}"
            raise BadKey(msg)
        return cls(key, env)

    def of(self, value: str) -> str:
        """The pseudonym of a value, whatever its case and spaces; one of our own stays as it is."""
        if self.made(value):
            return value
        plain = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
        tag = blake2b(plain.encode("utf-8", "surrogatepass"), key=self._tag, digest_size=8).digest()
        return f"<PSEUDONYM:{tag.hex()}{self._mac(tag)}>"

    def made(self, value: str) -> bool:
        """Whether a text is one of our own pseudonyms: the check at its end is a keyed one over its tag."""
        form = _FORM.fullmatch(value)
        return form is not None and hmac.compare_digest(form[2], self._mac(bytes.fromhex(form[1])))

    def _mac(self, tag: bytes) -> str:
        return blake2b(tag, key=self._check, digest_size=4).hexdigest()

    def __repr__(self) -> str:
        return "<Pseudonyms>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        msg = "Pseudonyms hold a key: they are not copied or pickled; make them again from the environment"
        raise TypeError(msg)
