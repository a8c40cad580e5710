"""How a person is reached: phone, e-mail, handle, URL, network addresses."""

from __future__ import annotations

from typing import Final

from phi_guard.detect.checksums import digits_of, ipv6
from phi_guard.detect.rule import PatternRule

_TLD: Final = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|app|dev|me|health|care|clinic|ch|fr|de|at|it|es|be|nl|uk|eu|us|ca|au|in|example|test"
)
_WORD_TLD: Final = (".it", ".in", ".at", ".me", ".be", ".us", ".test", ".care", ".health", ".example")
_GAP: Final = r"[\s.\-‐-―()/]{0,3}"
_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"


def _phone_length(text: str) -> bool:
    return 7 <= len(digits_of(text)) <= 15  # ITU-T E.164 allows fifteen digits


def _is_url(text: str) -> bool:
    """Not the seam of two sentences: ``at 5.It hurt``, where the full stop's space was forgotten."""
    return "://" in text or text.islower() or text.lower().startswith("www.") or not text.lower().endswith(_WORD_TLD)


RULES: Final = (
    PatternRule(
        name="email",
        entity="EMAIL_ADDRESS",
        regex=r"[\w.!#$%&'*+/=?^`{|}~-]{1,128}@(?:[^\W_][\w-]{0,62}(?:\.[\w-]{1,63}){1,8}|[^\W\d_]{3,63})",
        hits=("ada.byron@clinic.example", "write to o'neil+x@mail.example.co.uk", "ada@localhost", "zoë@bücher.example"),
        misses=("pain @ night", "2 tabs @8 pm", "1@8am"),
    ),
    PatternRule(
        name="handle",
        entity="EMAIL_ADDRESS",
        regex=r"(?<![\w.@])@[a-z][\w.]{2,40}",
        hits=("on chat as @ada_byron",),
        misses=("pain @ night", "@8am"),
        score=0.5,
    ),
    PatternRule(
        name="url",
        entity="URL",
        regex=rf"(?:https?|ftps?|sftp|wss?|file)://[^\s<>\"']{{1,2048}}|\bwww\.[^\s<>\"']{{2,2048}}"
        rf"|(?<![\w@.-])[a-z0-9][a-z0-9-]{{0,62}}(?:\.[a-z0-9-]{{1,63}}){{0,4}}\.(?:{_TLD})\b(?:/[^\s<>\"']{{0,2048}})?",
        hits=("https://portal.example/patients/ada-byron?id=3", "www.ada-byron.example", "see adabyron.com/me", "my page is ada.me"),
        misses=("b.i.d. for 3 days", "e.g. ibuprofen", "took it at 5.It hurt", "vitamin B.12"),
        check=_is_url,
    ),
    PatternRule(
        name="ipv4",
        entity="IP_ADDRESS",
        regex=rf"(?<![\d.]){_OCTET}(?:\.{_OCTET}){{3}}(?![\d])",
        hits=("from 192.0.2.17", "198.51.100.4:443"),
        misses=("12.05.1961", "version 1.2.3", "1.5 mg"),
        digits=True,
    ),
    PatternRule(
        name="ipv6",
        entity="IP_ADDRESS",
        regex=r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])",
        hits=("2001:db8::17", "2001:0db8:0000:0000:0000:ff00:0042:8329"),
        misses=("14:30:00", "ratio 1:2:3", "::", "see: a"),
        check=ipv6,
    ),
    PatternRule(
        name="mac",
        entity="MAC_ADDRESS",
        regex=r"(?<![\w:-])(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4})(?![\w:-])",
        hits=("00:00:5e:00:53:af", "00-00-5E-00-53-AF", "0000.5e00.53af"),
        misses=("14:30:00", "10-15-20"),
        score=0.95,
    ),
    PatternRule(
        name="phone",
        entity="PHONE_NUMBER",
        regex=rf"(?<![\w.])(?:[+＋]\s?(?:\(?\d\)?{_GAP}){{6,14}}\d"  # +41 (0)21 555 01 23
        rf"|00[1-9](?:{_GAP}\d){{8,12}}"
        rf"|\(\d{{2,5}}\){_GAP}\d(?:{_GAP}\d){{4,9}}"  # (415) 555-0134
        rf"|(?:1{_GAP})?\d{{3}}[\s.\-‐-―/]{{1,3}}\d{{3}}[\s.\-‐-―]{{1,3}}\d{{4}}"
        rf"|\d{{3}}[-.‐-―]\d{{4}}"
        rf"|0\d(?:{_GAP}\d){{7,10}})"  # 021 555 01 23, 01/23/45/67/89, 030/123456
        r"(?!\d)(?:\s{0,2}(?:ext|extension|poste|durchwahl|x)\.?\s{0,2}\d{1,6})?",
        hits=(
            "+41 21 555 01 23", "+41 (0)79 555 01 23", "0041 21 555 01 23", "021 555 01 23", "079/555 01 23", "+33 1 99 00 12 34",
            "01.99.00.12.34", "01/99/00/12/34", "+1 415 555 0134", "(415) 555-0134", "415-555-0134 ext. 12", "415.555.0134", "555-0134",
            "+44 20 7946 0018", "020 7946 0018", "+49 30 23125 123", "030/23125123",
        ),
        misses=("120/80", "14:30", "500 mg", "E11.9", "0.5 mg", "2 to 3 times", "01/02/2026", "10-15-20"),
        check=_phone_length,
        digits=True,
    ),
    PatternRule(
        name="phone_cue",
        entity="PHONE_NUMBER",
        regex=r"\b(?:tel|telephone|téléphone|telefon|phone|mobile|cell|fax|natel|handy|portable|numéro|call me (?:at|on)|reach me (?:at"
        r"|on))\b"
        r"(?:\s{1,3}(?:is|number|no|nr|num|at|on|est|ist)\b)?[\s.:#=(\"']{0,6}([+]?\d(?:[\s.\-‐-―()/]{0,3}\d){3,14})",
        hits=("phone: 5550134", "tel. 555 01 34", "fax is 55501"),
        misses=("call me at 5", "phone call at 14:30", "mobile 2 days later"),
        group=1,
        digits=True,
    ),
)  # fmt: skip
"""Rules for the ways to reach a person."""
