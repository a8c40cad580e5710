"""How a person is reached: e-mail, handle, URL, file of a person, network addresses."""

from __future__ import annotations

import re
from typing import Final

from phi_guard.detect.checksums import ipv6
from phi_guard.detect.rule import PatternRule
from phi_guard.detect.rules.domains import COMMON, TOP_LEVEL, WORDS
from phi_guard.detect.rules.ordinary import is_ordinary

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_PEOPLE: Final = r"(?:patients?|persons?|people|users?|members?|profiles?|clients?|contacts?|customers?|subscribers?|callers?|staff|u)"
_FILE: Final = (
    "pdf|docx?|odt|xlsx?|csv|tsv|json|xml|ya?ml|txt|rtf|log|jpe?g|png|gif|tiff?|heic|bmp|webp|mp3|mp4|wav|m4a|ogg|mov|avi|dcm|hl7|zip"
    "|eml|msg"
    "|html?|sql|db|bak"
)
_NOT_A_PERSON: Final = frozenset(
    """
    api app index main config data default file files image img photo picture scan upload download export import backup temp tmp draft
    final copy version v1 v2 test tests page pages search login logout signup settings admin public private static assets docs document
    documents consent referral invoice receipt statement audio video recording call transcript labels lab results xray mri ct ecg list
    all new edit delete create update get post put detail details info lookup find by id ids uuid null undefined none unknown full frontal
    front side left right profile avatar template sample example readme schema error errors err debug trace metrics health status events
    event tool tools book cancel reschedule agent system session sessions server client request response json xml html output input
    """.split()  # noqa: SIM905 - a hundred quoted words are harder to read and to keep in order
)
_PART: Final = re.compile(r"[^\W_]+")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def _is_host(text: str) -> bool:
    """Not the seam of two sentences (``at 5.It hurt``), where the full stop's space was forgotten, and not an abbreviation."""
    host, slash, path = text.partition("/")
    *labels, last = host.partition(":")[0].split(".")
    domain = last.lower()
    if domain not in TOP_LEVEL or (all(len(label) < 2 for label in labels) and (len(labels) > 1 or len(path) < 3)):
        return False
    if domain in WORDS and not slash and len(labels) < 2 and is_ordinary(labels[0]):
        return False
    return domain in COMMON or text.islower() or bool(slash)


def _is_persons(text: str) -> bool:
    """A part of it is neither an ordinary word nor one of files and paths, nor a number."""
    parts = [part for piece in _PART.findall(text) for part in _HUMP.split(piece)]
    return any(len(part) > 1 and not part.isdecimal() and part.lower() not in _NOT_A_PERSON and not is_ordinary(part) for part in parts)


RULES: Final = (
    PatternRule(
        name="email",
        entity="EMAIL_ADDRESS",
        regex=r"[\w.!#$%&'*+/=?^`{|}~-]{1,128}@(?:[^\W_][\w-]{0,62}(?:\.[\w-]{1,63}){1,8}|[^\W\d_]{3,63}|\[[\d.:a-f]{3,45}\])",
        hits=("ada.byron@clinic.example", "write to o'neil+x@mail.example.co.uk", "ada@localhost", "zoë@bücher.example"),
        misses=("pain @ night", "2 tabs @8 pm", "1@8am"),
        check=lambda text: text[-1] != "@",
    ),
    PatternRule(
        name="email_apart",
        entity="EMAIL_ADDRESS",
        regex=r"(?<![\w.+-])[\w.+-]{1,64}(?:\s?[(\[{<]\s?(?:at|@|arroba)\s?[)\]}>]\s?[\w-]{2,63}(?:\s?(?:\.|[(\[{<]\s?(?:dot|\."
        r"|punkt|point)\s?[)\]}>]"
        r"|\s?dot\s)\s?[\w-]{2,30}){0,3}|(?:\s@\s?|@\s)[\w-]{2,63}(?:\s?\.\s?[a-z]{2,24}){1,3}\b)",
        hits=("ada(at)clinic(dot)example", "ada [at] mail [dot] example", "ada @ mail . example", "ada{at}mail.example"),
        misses=("pain @ night", "rest (at home)", "2 tabs @ 8 pm", "seen (at clinic)"),
        check=lambda text: "@" in text or "." in text or "dot" in text.lower() or "[" in text,
    ),
    PatternRule(
        name="email_provider",
        entity="EMAIL_ADDRESS",
        regex=r"(?<![\w.+-])[\w.+-]{1,64}\s(?:at|@|arroba|chez)\s(?:g\s?mail|yahoo|ymail|hotmail|outlook|icloud|aol|proton(?:mail)?"
        r"|gmx|msn|live)"
        r"(?:\s?(?:\.|dot)\s?[a-z]{2,6})?\b",
        hits=("ada at gmail", "ada.byron at hotmail dot com"),
        misses=("looking at live results", "an email was sent", "at yahoo"),
        check=lambda text: not is_ordinary(text.split()[0]),
    ),
    PatternRule(
        name="handle",
        entity="EMAIL_ADDRESS",
        regex=r"(?<![\w.@])@[a-z][\w.]{2,40}|(?<![\w./])/?u/[a-z][\w-]{2,30}(?![\w/])|(?<!\w)live:[\w.]{3,60}",
        hits=("on chat as @ada_byron", "reddit u/ada_b", "skype live:ada.b_2"),
        misses=("pain @ night", "@8am", "10 u/kg", "live: now", "5 u/day"),
        check=lambda text: text[0] in "@Ll" or not text.lstrip("/")[2:].isalpha() or not is_ordinary(text.rpartition("/")[2]),
        score=0.5,
    ),
    PatternRule(
        name="user_name",
        entity="ID",
        regex=r"(?<![^\W_])(?:user[\s_-]?name|user[\s_-]?id|login|log-?in id|screen[\s_]?name|handle|gamertag|skype|telegram|instagram"
        r"|insta|twitter"
        r"|snapchat|tiktok|discord|facebook|linkedin|venmo|paypal|cash ?app|password|passwd|pwd|passcode|pin)"
        r"(?:\s(?:is|id|handle|name|code|account))?[\"']?\s{0,2}(?:[:=]|\sis\s"
        r"|\s(?:me\s)?(?:at|on)\s|\s(?=[$\w.-]{0,40}[\d_@$]))[\s\"'@$]{0,4}([\w.@!$#%-]{3,64}(?<![.-]))",
        hits=("username: adabyron", "login=ada.b", "twitter ada_b", "password is Sommer2024!", "PIN: 4412", '"user_name": "abyron"',
              "venmo me at abyron", "cash app $adab"),
        misses=("login failed", "login at home", "password reset", "pin in the ankle", "pin site clean"),
        group=1,
        check=lambda text: not is_ordinary(text),
        score=0.7,
    ),
    PatternRule(
        name="url",
        entity="URL",
        regex=r"(?:https?|ftps?|sftp|wss?|file|mailto|tel|sip|s3|postgres(?:ql)?|mysql|mongodb|redis):/?/?[^\s<>\"']{3,2048}"
        r"|\bwww\.[^\s<>\"']{2,2048}|\blocalhost(?::\d{2,5})?/[^\s<>\"']{2,2048}",
        hits=("https://portal.example/patients/ada-byron?id=3", "www.ada-byron.example", "sip:ada@pbx.example", "localhost:8080/ada"),
        misses=("tel: none", "ratio 3:1", "on localhost now"),
    ),
    PatternRule(
        name="host",
        entity="URL",
        regex=r"(?<![\w@.-])[^\W_][\w-]{0,62}(?:\.[\w-]{1,63}){0,5}\.[a-z]{2,24}\b(?![\w-]|\.\w)(?::\d{2,5}\b)?(?:/[^\s<>\"']{0,2048})?",
        hits=("see adabyron.com/me", "t.me/ada_b", "my page is ada.me", "adabyron.co.il"),
        misses=("b.i.d. for 3 days", "e.g. ibuprofen", "took it at 5.It hurt", "vitamin B.12", "it hurts.is it bad"),
        check=_is_host,
        needs=r"\w\.\w",
    ),
    PatternRule(
        name="persons_path",
        entity="URL",
        regex=rf"/{_PEOPLE}/([\w.%+~@-]{{2,80}})",
        hits=("GET /patients/ada-byron 404", "/v1/users/abyron"),
        misses=("/patients/search", "/users/list"),
        group=1,
        check=_is_persons,
        score=0.7,
    ),
    PatternRule(
        name="persons_file",
        entity="URL",
        regex=rf"(?<![\w-])[^\W_][\w-]{{1,80}}(?:\.[\w-]{{1,20}})?\.(?:{_FILE})\b(?!\.?\w)",
        hits=("ada_byron.json", "open adaByron-consent.pdf", "byron_frontal.jpg"),
        misses=("lab_results.pdf", "report.pdf", "consent_form.docx", "config.yaml", "index.html"),
        check=lambda text: _is_persons(text.rpartition(".")[0]),
        score=0.5,
    ),
    PatternRule(
        name="photo_file",
        entity="URL",
        regex=r"(?<![^\W_])(?:img|dscn?|dscf|pxl|mvimg|vid|mov|scan|screenshot|photo|selfie)[_-]\d{3,14}(?:[_-]\d{1,9}){0,3}",
        hits=("IMG_2201 shows it", "DSC-0091", "PXL_20240305_101112"),
        misses=("vid 500 mg", "scan in 2019", "photo 3"),
        score=0.4,
        digits=True,
    ),
    PatternRule(
        name="persons_key",
        entity="PERSON",
        regex=r"(?<![\w.-])[^\W\d_]{2,20}_[^\W\d_]{2,20}(?:_[^\W\d_]{2,20})?(?![\w(])",
        hits=("ada_byron", '{"ada_byron": 1}'),
        misses=("book_appointment", "patient_name", "first_name", "error_code"),
        check=lambda text: all(_is_persons(part) for part in text.split("_")),
        score=0.3,
    ),
    PatternRule(
        name="ipv4",
        entity="IP_ADDRESS",
        regex=rf"(?<![\d.]){_OCTET}(?:\.{_OCTET}){{3}}(?!\d)(?:/\d{{1,2}}\b)?",
        hits=("from 192.0.2.17", "198.51.100.4:443"),
        misses=("12.05.1961", "version 1.2.3", "1.5 mg"),
        digits=True,
    ),
    PatternRule(
        name="ipv6",
        entity="IP_ADDRESS",
        regex=r"(?<![\w:.])(?:::/\d{1,3}\b|(?:[0-9a-f]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4})(?![\w:]))",
        hits=("2001:db8::17", "2001:0db8:0000:0000:0000:ff00:0042:8329", "::ffff:192.0.2.1", "::/128"),
        misses=("14:30:00", "ratio 1:2:3", "::", "see: a"),
        check=lambda text: ipv6(text) or text.startswith("::/"),
    ),
    PatternRule(
        name="mac",
        entity="MAC_ADDRESS",
        regex=r"(?<![\w:-])(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}"
        r"|(?<=mac )[0-9a-f]{12}|(?<=mac: )[0-9a-f]{12}|(?<=address )[0-9a-f]{12}|(?<=address: )[0-9a-f]{12}"
        r"|(?<=mac )(?:[0-9a-f]{2}\s){5}[0-9a-f]{2}|(?<=mac: )(?:[0-9a-f]{2}\s){5}[0-9a-f]{2}"
        r"|(?<=address )(?:[0-9a-f]{2}\s){5}[0-9a-f]{2})(?![\w:-])",
        hits=("00:00:5e:00:53:af", "00-00-5E-00-53-AF", "0000.5e00.53af", "mac aabbccddeeff", "mac address AA BB CC DD EE FF"),
        misses=("14:30:00", "10-15-20", "mac and cheese", "address defaced"),
        score=0.95,
    ),
)  # fmt: skip
"""Rules for the ways to reach a person by a network."""
