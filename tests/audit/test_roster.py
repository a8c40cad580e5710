"""The roster: what is found of a clinic's own patients, what is passed over, and that the index says nothing of them."""

from __future__ import annotations

import random
import subprocess
import sys
import uuid
from datetime import UTC, datetime

import pytest

from audit.keys import KeyFileError
from audit.roster import RosterError, index, roster_key
from audit.roster.build import build_roster
from audit.roster.entries import entries_of, name_entries
from audit.roster.find import ALONE, EXACT, LONE_NEAR, NEAR, SOUNDS, Roster
from audit.roster.index import HEADER, Index
from audit.roster.numbers import national
from audit.roster.people import PeopleList
from audit.roster.words import fold, name_words, sound
from phi_guard.detect import Detector

KEY = bytes(range(32))
NOW = datetime(2026, 11, 20, tzinfo=UTC)
PEOPLE = """Name;Geburtsdatum;Telefon;MRN;E-Mail;Adresse;AHV
Ada Byron;14.03.1958;+41 79 555 01 23;MRN-004813;ada.byron@example.org;12 Oak Street, Apt 4;756.1234.5678.97
"Müller, Zoë";1990-01-02;(415) 555-0132;7003912;zoe@example.ch;Bahnhofstr. 12;
Grace Long;3 March 1971;079 555 77 88;99120034;;;
Dr. Séan O'Byrne-Smythe;;;;;;
Carlo De Luca;;;;;;
John Johnson;;;;;;
Jørgen Weißmann;2026-08-01;;;;;
Katharina Vandenberghe;;;;;;
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("roster")
    (folder / "people.csv").write_text(PEOPLE, encoding="utf-8")
    done = build_roster(PeopleList(folder / "people.csv"), folder / "r.idx", KEY, now=NOW)
    return folder / "r.idx", done


@pytest.fixture(scope="module")
def roster(built):
    return Roster.open(built[0], KEY)


def found(roster, text):
    return {d.entity.removeprefix("ROSTER_") for d in roster.find(text)}


@pytest.mark.parametrize(
    "text",
    [
        "Ada Byron called", "Byron, Ada", "ada byron", "Byron Ada", "Ada M. Byron", "Ada Maria Byron", "ADA BYRON", "ada_byron",
        "ada uh byron",
        "user adabyron", "user byronada", "ada.byron@gmail.com", "requestForAdaByron failed", "adabyron58", "Byron called",
        "byron's results",
        "b y r o n", "B-Y-R-O-N", "bravo yankee romeo oscar november", "b as in boy y r o n", "her name is a d a b y r o n", "Ada%20Byron",
        "A\u200bda By\u200bron", "Zoe Mueller", "zoë müller", "Muller Zoe", "MÜLLER", "grace long", "my name is grace long and i cough",
        "I hope Grace Long is in", "Mr Long is here", "Sean Smythe", "o'byrne", "obyrne", "carlo de luca", "Deluca",
        "johnjohnson", "grace.long@x.org",
        "%42%79%72%6F%6E called", "B&#121;ron",
        "call Jorgen", "Joergen", "m u double l e r", "w e i double s m a double n", "B\\u0079ron", "jorgen weissmann",
        "Joergen Weißmann",
    ],
)  # fmt: skip
def test_a_name_is_found_in_every_form(roster, text):
    assert "NAME" in found(roster, text)


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        ("079 555 01 23", "PHONE"), ("+41795550123", "PHONE"), ("0041 79 555 01 23", "PHONE"), ("+41 (0)79 555 01 23", "PHONE"),
        ("oh seven nine five five five oh one two three", "PHONE"), ("o seven nine triple five oh one twenty three", "PHONE"),
        ("call 415-555-0132 now", "PHONE"), ("1 415 555 0132", "PHONE"), ("born 14 March 1958", "DOB"), ("1958-03-14", "DOB"),
        ("14/03/1958", "DOB"),
        ("03/14/58", "DOB"), ("march fourteenth nineteen fifty eight", "DOB"), ("the fourteenth of march fifty-eight", "DOB"),
        ("vierzehnter März neunzehnhundertachtundfünfzig", "DOB"), ("quatorze mars mille neuf cent cinquante-huit", "DOB"),
        ("14 mars 1958", "DOB"), ("dob 19580314", "DOB"), ("geboren am 14. März 1958", "DOB"), ("born 1 August 2026", "DOB"),
        ("mrn 004813", "MRN"), ("MRN004813", "MRN"), ("record number 7003912", "MRN"), ("99120034", "MRN"),
        ("her record is nine nine one two oh oh three four", "MRN"), ("ADA.BYRON@EXAMPLE.ORG", "EMAIL"),
        ("ada.byron+x@example.org", "EMAIL"),
        ("ada dot byron at example dot org", "EMAIL"), ("at 12 Oak St", "ADDRESS"), ("twelve oak street", "ADDRESS"),
        ("Bahnhofstrasse 12", "ADDRESS"), ("bahnhofstrasse zwölf", "ADDRESS"), ("756.1234.5678.97", "ID"), ("7561234567897", "ID"),
    ],
)  # fmt: skip
def test_a_number_a_day_and_an_address_are_found_however_told(roster, text, entity):
    assert entity in found(roster, text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\ud800", "a long time", "a long grace period", "it takes grace", "user_turn", "take two tablets three times a day",
        "2026-11-20", "1 August 2026", "born in 1958", "14 March", "7003912", "079 555 01 24", "79 555 01", "12 Elm Street",
        "13 Oak Street",
        "nobody@example.org", "i see a p c p about my c o p d", "one two three four five", "blood pressure one forty over ninety",
        "the long and the short of it", "2026-11-20T06:40:00.123456Z", "550e8400-e29b-41d4-a716-446655440000", "0.0795550123",
        "will you call back", "an so at", "步行",
    ],
)  # fmt: skip
def test_what_names_nobody_on_it_is_passed_over(roster, text):
    assert roster.find(text) == ()


def test_ids_never_match_by_chance(roster, built):
    """A phone number's digits inside ids, instants, hashes and decimals are nobody's; beside them they are."""
    assert not found(roster, "79555012-3000-4000-8000-000795550123")
    assert not found(roster, "20261120T079555012300Z79555012-3000-4000-8000-000795550123")
    assert not found(roster, "a0795550123bcdef")
    assert found(roster, "79555012-3000-4000-8000-000795550123 called 0795550123") == {"PHONE"}
    rng = random.Random(1)
    for _ in range(500):
        assert roster.find(str(uuid.UUID(int=rng.getrandbits(128)))) == ()


@pytest.mark.parametrize("text", ["550e8400-e29b-41d4-a716-446655440000", "2026-11-20T06:40:00.123456Z", "0.000123"])
def test_most_of_a_trace_is_not_even_read(built, text):
    """Ids, instants and costs are most of a trace's strings: they are answered before anything is undone or looked up."""

    class Unasked:
        def find(self, text):
            raise AssertionError

    roster = Roster.open(built[0], KEY)
    roster._undone = Unasked()
    assert roster.find(text) == ()
    with pytest.raises(AssertionError):
        roster.find("words")


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Ada Byron", EXACT), ("Byron", ALONE), ("Grace Longg", NEAR), ("Grase Byron", ALONE), ("Ada Biron", ALONE),
        ("vandenberge", LONE_NEAR),
        ("Katharina", ALONE), ("Grace Lonk", NEAR), ("grace lhonck", SOUNDS),
    ],
)  # fmt: skip
def test_the_score_says_how_sure_it_is(roster, text, score):
    assert max(d.score for d in roster.find(text)) == score


def test_a_place_is_told_in_the_text_as_given(roster):
    text = "Für Zoë Müller, morgen"
    (hit,) = roster.find(text)
    assert text[hit.start : hit.end] == "Zoë Müller"
    assert hit.source == "roster"


def test_what_is_encoded_is_found_as_that(roster):
    """A name in base64 is found, an opaque token that names nobody is not; a name in a stretch that is suspect anyway stays found."""
    assert found(roster, "note QWRhIEJ5cm9uIGNhbGxlZCBhZ2FpbiB0b2RheQ==") == {"ENCODED"}
    assert found(roster, "note c29tZWJvZHkgY2FsbGVkIGFnYWluIHRvZGF5") == set()
    assert found(roster, "b*y*r*o*n*x*y*z") == set()
    assert found(roster, "%2525252542%2525252579 Byron%2525252542") == {"NAME"}


def test_it_is_a_detector(roster):
    detector: Detector = roster
    assert detector.name == "roster"


def test_words_of_a_policy_are_no_names(built):
    assert Roster.open(built[0], KEY, harmless=["byron_ward"]).find("Byron") == ()


def test_no_value_stands_in_the_file(built):
    """No value, no form of it, and no digest of it without the key is among the bytes of the index."""
    path, _ = built
    data = path.read_bytes().lower()
    values = [cell.strip() for row in PEOPLE.splitlines()[1:] for cell in row.replace('"', "").split(";") if cell]
    wanted = set(values) | {fold(value)[0] for value in values} | {word for value in values for word in name_words(value) if len(word) > 3}
    wanted |= {
        form for value in values for kind in ("phone", "mrn", "id", "email", "address") for _, form in entries_of(kind, [value], 2026)
    }
    wanted |= {form.partition(":")[2] for _, form in name_entries(["Ada Byron"], [], [])}
    assert len(wanted) > 60
    for value in wanted:
        if len(value) > 3:
            assert value.lower().encode() not in data
            assert value.encode("utf-16-le") not in data
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_it_says_of_itself(built):
    path, done = built
    facts = Index(path).facts
    assert facts == done.facts
    assert facts.people == 8
    assert facts.entries["phone"] == 3
    assert facts.entries["id"] == 1
    assert facts.built_at == "2026-11-20T00:00:00Z"


def test_the_same_list_and_key_give_the_same_bytes(built, tmp_path):
    path, _ = built
    build_roster(PeopleList(path.parent / "people.csv"), tmp_path / "again.idx", KEY, now=NOW)
    assert (tmp_path / "again.idx").read_bytes() == path.read_bytes()
    other = build_roster(PeopleList(path.parent / "people.csv"), tmp_path / "other.idx", bytes(32), now=NOW)
    ours, theirs = path.read_bytes()[HEADER:], (tmp_path / "other.idx").read_bytes()[HEADER:]
    assert len(ours) == len(theirs)
    digests = {ours[at : at + 8] for at in range(0, len(ours), 8)}
    assert not digests & {theirs[at : at + 8] for at in range(0, len(theirs), 8)}
    assert other.facts.key_id != Index(path).facts.key_id


def test_another_key_and_a_changed_file_are_refused(built, tmp_path):
    path, _ = built
    with pytest.raises(RosterError, match="built with key"):
        Roster.open(path, bytes(32))
    data = bytearray(path.read_bytes())
    for name, changed in {
        "flipped": bytes([*data[:-1], data[-1] ^ 1]), "cut": bytes(data[:-8]), "headless": bytes(data[HEADER:]),
        "empty": b"", "short": b"x" * 99,
        "miscounted": bytes(data).replace(b'"people": 8', b'"people": x'),
    }.items():  # fmt: skip
        broken = tmp_path / name
        broken.write_bytes(changed)
        with pytest.raises(RosterError, match="build"):
            Roster.open(broken, KEY)
    with pytest.raises(RosterError, match="cannot be read"):
        Roster.open(tmp_path / "none", KEY)


def test_its_key_is_made_once_and_kept_private(tmp_path):
    key = roster_key(tmp_path)
    assert len(key) == 32
    assert roster_key(tmp_path) == key
    assert (tmp_path / "roster.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError, match=r"other\.key"):
        roster_key(tmp_path, "other.key", make=False)
    (tmp_path / "short.key").write_bytes(b"short")
    with pytest.raises(KeyFileError, match="no key of 32 bytes"):
        roster_key(tmp_path, "short.key")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"])
def test_lists_of_any_usual_kind_are_read(tmp_path, encoding, delimiter):
    path = tmp_path / "list.csv"
    path.write_text(
        delimiter.join(["Vorname", "Nachname", "Mobile"]) + "\n" + delimiter.join(["Zoë", "Müller", "0795550123"]) + "\n", encoding=encoding
    )
    people = PeopleList(path)
    (person,) = people.people()
    assert person.values == {"given": ("Zoë",), "surname": ("Müller",), "phone": ("0795550123",)}
    assert (people.encoding == "latin-1") == (encoding == "latin-1")


def test_bad_rows_are_counted_by_line_and_not_quoted(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("Name,DOB,Phone\nAda Byron,1958-03-14,0795550123\nSecretname,x\n,,\nZoe Muller,never,12\n", encoding="utf-8")
    done = build_roster(PeopleList(path), tmp_path / "r.idx", KEY, now=NOW)
    assert done.facts.people == 2
    assert done.bad.lines["has another number of columns than the headings"] == [3]
    assert done.bad.lines["holds nothing that can be used"] == [4]
    assert done.bad.lines["has a value under dob that cannot be used"] == [5]
    assert done.bad.lines["has a value under phone that cannot be used"] == [5]
    assert "ecret" not in str(done.bad)


def test_a_quote_that_is_never_closed_is_told(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("Name\nAda Byron\n" + '"Zoe\n' + "Grace Long\n" * 40, encoding="utf-8")
    people = PeopleList(path)
    assert [person.line for person in people.people()] == [2]
    assert people.bad.lines == {"has a quote that is not closed for many lines": [3]}


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "Name\n", "Name\n\n\n"])
def test_a_list_of_nobody_is_refused(tmp_path, content):
    path = tmp_path / "list.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RosterError):
        build_roster(PeopleList(path), tmp_path / "r.idx", KEY, now=NOW)
    assert not (tmp_path / "r.idx").exists()
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["list.csv"]


def test_a_full_disk_leaves_the_old_index(built, tmp_path):
    """The limit of a file's size is the disk's end, made for real in a process of its own."""
    path, _ = built
    target = tmp_path / "r.idx"
    target.write_bytes(path.read_bytes())
    code = (
        "import resource,signal,sys\nfrom datetime import UTC,datetime\nfrom pathlib import Path\n"
        "from audit.roster.build import build_roster\nfrom audit.roster.people import PeopleList\nfrom audit.roster import RosterError\n"
        "signal.signal(signal.SIGXFSZ,signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE,(3000,3000))\n"
        "try:\n build_roster(PeopleList(Path(sys.argv[1])),Path(sys.argv[2]),bytes(32),now=datetime.now(tz=UTC))\n"
        "except RosterError as fault:\n print(fault)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path.parent / "people.csv"), str(target)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "cannot be written" in done.stdout
    assert target.read_bytes() == path.read_bytes()
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["r.idx"]


def test_memory_stays_flat_with_the_list(tmp_path, monkeypatch):
    """However many digests come, no more than a chunk is held; they come out sorted, each once, in pieces no larger."""
    monkeypatch.setattr(index, "CHUNK", 1000)
    sorter = index.Sorter(tmp_path)
    rng = random.Random(4)
    digests = [rng.getrandbits(64) for _ in range(20_000)]
    digests += digests[:5000]
    for at in range(0, len(digests), 100):
        sorter.add(digests[at : at + 100])
        assert len(sorter._held) < 1000
    pieces = [list(piece) for piece in sorter.merged()]
    assert max(map(len, pieces)) == 1000
    assert [digest for piece in pieces for digest in piece] == sorted(set(digests))
    assert not [path for path in tmp_path.iterdir() if path.is_file()]
    sorter.close()


def test_cologne_phonetics():
    """The examples of Postel's article, as the literature cites them."""
    assert sound("muller") == sound("mueller") == "657"
    assert sound("breschnew") == "17863"
    assert sound("wikipedia") == "3412"
    assert sound("meier") == sound("mayer") == sound("maier")


def test_a_phone_number_is_the_same_however_dialled():
    assert (
        national("0041795550123", abroad=False)
        == national("795550123", abroad=False)
        == national("41795550123", abroad=True)
        == {"795550123"}
    )
    assert "4155550132" in national("14155550132", abroad=False)
    assert national("5550132", abroad=False) == set()


def test_no_text_makes_it_raise(roster):
    rng = random.Random(5)
    pool = [
        "ada", "byron", "o'neil", "079", "555", "+41", "@", ".", "dot", "at", "march", "nineteen", "58", "ß", "œ", "ø",
        "\u0301", "\u200b", "𝔸",
        "<b>", "%41", "&amp;", "\\u0041", "'", "-", "_", "\n", "\ud800", "mr", "b", "y", "r",
        "double", "hundred", "mille", "١٢", "x" * 50, "9" * 30,
    ]  # fmt: skip
    for _ in range(400):
        text = rng.choice(["", " ", "-"]).join(rng.choices(pool, k=rng.randint(1, 30)))
        for hit in roster.find(text):
            assert 0 <= hit.start < hit.end <= len(text)


def test_a_long_text_costs_time_in_proportion(roster):
    """Ten times the text is not a hundred times the work: counted in questions to the index, which no machine's load changes."""
    asked = []
    holds = roster._index.holds

    class Counting:
        facts = roster.facts

        def holds(self, kind, digest):
            asked.append(kind)
            return holds(kind, digest)

    counted = Roster(Counting(), KEY)
    unit = "call 079 555 01 23 or 12 34 56 about b y r o n and ada at 5 elm road "
    counted.find(unit * 10)
    asked.clear()
    counted.find(unit * 20)
    few = len(asked)
    asked.clear()
    counted.find(unit * 200)
    assert few > 100
    assert len(asked) < 12 * few
