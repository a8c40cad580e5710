"""Reviews: what a person sees, what is written down, and what two of them come to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from audit import people
from audit.finite import stratified
from audit.manifest import TraceFacts
from audit.review import document, join, kappa
from audit.review.content import pack, unpack
from audit.review.outcome import _looked
from audit.review.queue import line_up, shown
from audit.review.reading import gather, read_report, report_digest
from audit.review.record import Review, ReviewError
from audit.review.session import Session
from audit.sample import SUSPICIONS, draw
from audit.statistics import lower_bound

REPORT = "a" * 64
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def sample(made):
    """40 traces, 20 of them drawn, and their content."""
    facts = [TraceFacts(made.run_id(n * 1000), "book_appointment", "ended", "1.2.0", "dev", 7) for n in range(40)]
    selection = draw(facts, n=20, seed=7, seed_by="given")
    return selection, gather((run for n in range(40) for run in made.call(n)), selection)


@pytest.fixture
def begin(sample, tmp_path, made):
    """A session of a reviewer; the same file is gone on with."""

    def start(name="R. Keller", key=made.KEY):
        selection, traces = sample
        path = tmp_path / f"{name}.json"
        items = line_up(selection, traces, key=key, report_sha256=REPORT, reviewer=name)
        new = Review(name, REPORT, selection.sha256, NOW.isoformat(), "", len(items), 0, 0, ())
        ticks = iter(range(10_000))
        clock = lambda: NOW + timedelta(seconds=next(ticks))  # noqa: E731
        return Session(items, traces, document.read(path) if path.exists() else new, path, clock)

    return start


def decide(session, *, missing=0, false=0, unsure=0):
    """Find every plant but so many; call so many clean traces leaking, and so many unsure."""
    while (item := session.current()) is not None:
        lines = session.lines(item)
        if item.kind and missing == 0:
            place = next(line.place for line in lines if item.value in line.text)
            session.decide(item.token, "leak", entity="name", place=place)
        elif not item.kind and false:
            false -= 1
            session.decide(item.token, "leak", entity="other", place=lines[0].place)
        elif not item.kind and unsure:
            unsure -= 1
            session.decide(item.token, "unsure", comment="needs another look")
        else:
            missing -= bool(item.kind)
            session.decide(item.token, "clear")
    return session.close()


def test_a_trace_is_lines_with_places(made):
    """Every value of every run is a line, ids apart; its place holds nothing of the trace, not even a key."""
    run = made.span("tool.x", 0, inputs={"Ada Byron": {"deep": ["call 555-0100"]}}, error="boom")
    lines = unpack(pack([run]))
    assert [line.place for line in lines if "555-0100" in line.text] == ["1.inputs.1"]
    assert any("Ada Byron" in line.label for line in lines)
    assert not any("Ada" in line.place for line in lines)
    assert {line.text for line in lines} >= {"boom", "tool.x"}
    assert run["id"] not in "".join(line.text + line.label for line in lines)


def test_nothing_a_run_holds_is_hidden(made):
    """A field nobody knows, and one that is too long for a screen, are lines too."""
    run = made.span("tool.x", 0, whatever={"k": "Ada"}, events=[{"name": str(n)} for n in range(3000)])
    lines = unpack(pack([run]))
    assert any(line.text == "Ada" and line.place == "1.other.1" for line in lines)
    assert any("more than can be shown" in line.text for line in lines)


def test_plants_are_copies_with_one_value_more(sample, made):
    """Ten among twenty; each differs from its trace in one line, which shows the planted value; the token does not tell."""
    selection, traces = sample
    items = line_up(selection, traces, key=made.KEY, report_sha256=REPORT, reviewer="A")
    plants = [item for item in items if item.kind]
    assert (len(items), len(plants)) == (30, 10)
    for item in plants:
        packed = traces[item.trace_id]
        differ = [new for new, old in zip(shown(item, packed), unpack(packed), strict=True) if new != old]
        assert [line.place for line in differ] == [item.place]
        assert item.value in differ[0].text
        assert item.kind in people.CLASSES
    assert len({item.token for item in items}) == 30
    assert {len(item.token) for item in items} == {16}


def test_two_reviewers_meet_the_same_plants_elsewhere(sample, made):
    """One key, one report: the same copies, in another order; another key, other copies. The sample's own order stays."""
    selection, traces = sample
    a, b = (line_up(selection, traces, key=made.KEY, report_sha256=REPORT, reviewer=name) for name in "AB")
    assert {i.token for i in a} == {i.token for i in b}
    assert [i.token for i in a] != [i.token for i in b]
    assert [i.trace_id for i in a if not i.kind] == list(selection.trace_ids)
    other = line_up(selection, traces, key=b"x" * 32, report_sha256=REPORT, reviewer="A")
    assert not {i.token for i in a} & {i.token for i in other}


def test_suspicions_are_not_copied(made):
    """What the machine suspects is no clean trace to plant in."""
    facts = [TraceFacts(made.run_id(n * 1000), "t", "ended", "1", "dev", 7) for n in range(30)]
    selection = draw(facts, n=10, seed=7, seed_by="given", suspected=lambda trace: trace <= facts[4].trace_id)
    traces = gather((run for n in range(30) for run in made.call(n)), selection)
    items = line_up(selection, traces, key=made.KEY, report_sha256=REPORT, reviewer="A")
    assert selection.strata[0].name == SUSPICIONS
    assert not {item.trace_id for item in items if item.kind} & {each.trace_id for each in facts[:5]}


def test_a_sitting_goes_on_where_it_was_left(begin, tmp_path):
    """After each decision the file is whole; another session goes on; undo counts; no decision twice."""
    session = begin()
    first, second = session.current(), None
    session.decide(first.token, "clear")
    with pytest.raises(ReviewError, match="decided already"):
        session.decide(first.token, "clear")
    second = session.current()
    session.decide(second.token, "unsure")
    again = begin()
    assert (again.done, again.total) == (2, 30)
    assert again.undo()
    assert again.current() == second
    assert begin().review.undone == 1


def test_the_open_file_tells_nothing(begin, sample, tmp_path):
    """No trace id, no plant, no value stands in it before the end; afterwards ids and plants do, and values never."""
    session = begin()
    values = [item.value for item in session._items if item.kind]
    while (item := session.current()) is not None and session.done < 20:
        session.decide(item.token, "leak", entity="name", place=session.lines(item)[0].place)
    text = (tmp_path / "R. Keller.json").read_text()
    assert not any(trace in text for trace in sample[0].trace_ids)
    assert json.loads(text)["planted"] == []
    done = decide(begin())
    text = (tmp_path / "R. Keller.json").read_text()
    assert len(done.planted) == 10
    assert all(trace in text for trace in sample[0].trace_ids)
    assert not any(value in text for value in values)
    with pytest.raises(ReviewError, match="has ended"):
        begin()


@pytest.mark.parametrize(
    "words",
    [
        {"said": "maybe"},
        {"said": "leak"},
        {"said": "leak", "entity": "name", "place": "99.inputs.1"},
        {"said": "clear", "comment": "Ada Byron"},
    ],
    ids=["word", "no place", "no such line", "free text"],
)
def test_only_what_is_on_a_list_is_written(begin, words):
    """No free text, no place that is not shown."""
    session = begin()
    with pytest.raises(ReviewError):
        session.decide(session.current().token, **words)
    assert session.done == 0


def test_another_key_is_told(begin):
    """A review gone on with elsewhere, under another key, is refused and not mixed."""
    session = begin()
    session.decide(session.current().token, "clear")
    with pytest.raises(ReviewError, match="another key"):
        begin(key=b"y" * 32)


def test_a_full_disk_costs_no_decision(begin, tmp_path, monkeypatch):
    """What was decided before stays readable; the fault is told."""
    session = begin()
    session.decide(session.current().token, "clear")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ReviewError, match="No space left"):
        session.decide(session.current().token, "clear")
    monkeypatch.undo()
    assert session.done == begin().done == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("field", ["reviewer", "report_sha256", "ended", "undone", "decisions", "planted", "sha256"])
def test_an_edited_file_is_refused(begin, tmp_path, field):
    """Any edit of the file breaks its digest, and the message quotes nothing of it."""
    decide(begin())
    path = tmp_path / "R. Keller.json"
    told = json.loads(path.read_text())
    value = told[field]
    told[field] = value[:-1] if isinstance(value, list) else value + 1 if isinstance(value, int) else ("b" * 64 if len(value) == 64 else "")
    path.write_text(json.dumps(told))
    with pytest.raises(ReviewError) as fault:
        document.read(path)
    assert field in str(fault.value) or "sha256" in str(fault.value)


def test_two_reviews_join(begin, sample):
    """Two who find every plant: kappa 1, recall bounded by one reviewer's plants, and the bound on the rest as computed by hand."""
    selection, _ = sample
    one, other = decide(begin("A")), decide(begin("B"))
    outcome = join([one, other], selection, report_sha256=REPORT)
    assert (outcome.traces, outcome.decided, outcome.twice, outcome.leaking, outcome.disagreements) == (20, 20, 20, 0, 0)
    assert (outcome.kappa, outcome.recall, outcome.why) == (1.0, 1.0, "")
    assert outcome.recall_at_least == pytest.approx(lower_bound(10, 10))
    looked = _looked(selection, {trace: ["clear"] for trace in selection.trace_ids})
    assert outcome.upper == stratified(looked, 0.975, recall=lower_bound(10, 10, 0.975)).value
    assert 0 < outcome.upper < 0.5
    assert [r.file_sha256 for r in outcome.reviewers] == [one.sha256, other.sha256]


def test_what_nobody_decided_is_not_looked_at(sample):
    """The strata count the traces that somebody decided, not those that were drawn; a leak or a doubt counts as leaking."""
    selection, _ = sample
    first, second, third = selection.trace_ids[:3]
    for said, n, leaking in (
        ({}, 0, 0),
        ({first: ["clear"]}, 1, 0),
        ({first: ["clear", "leak"], second: ["unsure"], third: ["clear"]}, 3, 2),
    ):
        looked = _looked(selection, said)
        assert (sum(s.n for s in looked), sum(s.found for s in looked)) == (n, leaking)
        assert sum(s.population for s in looked) == selection.population


def test_misses_and_quarrels_show(begin, sample):
    """One misses four plants and sees a leak where the other is unsure: recall is the weaker one's, leak and doubt count, all is told."""
    selection, _ = sample
    outcome = join([decide(begin("A"), missing=4, false=1), decide(begin("B"), unsure=1)], selection)
    assert outcome.recall == pytest.approx(16 / 20)
    assert outcome.recall_at_least == pytest.approx(lower_bound(6, 10))
    assert (outcome.leaking, outcome.disagreements) == (1, 1)
    assert outcome.kappa < 0.8
    assert "1 left unsure" in outcome.why
    assert "on 1 the reviewers differ" in outcome.why


def test_a_wrong_place_does_not_find_a_plant(begin):
    """A plant called a leak at a line of another run is not found."""
    session = begin()
    while (item := session.current()) is not None:
        session.decide(item.token, "leak", entity="name", place=session.lines(item)[0].place)
    assert not any(plant.found for plant in session.close().planted)


def test_what_is_missing_is_told(begin, sample):
    """One reviewer, left half way: said in words, and the bound is wider."""
    selection, _ = sample
    whole = join([decide(begin("A"))], selection)
    assert whole.why.startswith("1 of 2 reviewers")
    session = begin("B")
    while session.done < 12:
        session.decide(session.current().token, "clear")
    half = join([session.close()], selection)
    assert "decided by nobody" in half.why
    assert half.upper > whole.upper


def test_strangers_are_not_joined(begin, sample):
    """Another report, another sample, the same reviewer twice, an open review, traces of elsewhere: refused."""
    selection, _ = sample
    done = decide(begin("A"))
    for wrong in (
        [],
        [replace(done, report_sha256="b" * 64)],
        [replace(done, selection_sha256="b" * 64)],
        [done, done],
        [replace(done, ended="")],
        [replace(done, decisions=(replace(done.decisions[0], item="0" * 36),))],
    ):
        with pytest.raises(ReviewError):
            join(wrong, selection, report_sha256=REPORT)


def test_kappa_by_hand():
    """Cohen's own reckoning: 50 items, 35 agreed, 0.5 by chance of the margins: 0.4. Undefined where all say one thing."""
    table = {("clear", "clear"): 20, ("clear", "leak"): 5, ("leak", "clear"): 10, ("leak", "leak"): 15}
    pairs = [pair for pair, times in table.items() for _ in range(times)]
    one, other = ({str(n): pair[who] for n, pair in enumerate(pairs)} for who in (0, 1))
    assert kappa(one, other) == pytest.approx(0.4)
    assert kappa({"1": "clear", "2": "clear"}, {"1": "clear", "2": "clear"}) is None
    assert kappa({"1": "clear"}, {"2": "clear"}) is None


def test_a_report_is_read_with_its_sample(sample, tmp_path):
    """The digest is over the canonical JSON without digest and signatures; an edit, or no sample, is refused."""
    from dataclasses import asdict

    told = {"schema": "phi-audit.report/2", "target": {"project": "p", "since": "", "until": ""}, "selection": asdict(sample[0])}
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**told, "digest": report_digest(told), "signatures": [1]}))
    reviewed = read_report(path)
    assert (reviewed.selection, reviewed.project, reviewed.sha256) == (sample[0], "p", report_digest(told))
    for wrong in ({**told, "digest": "b" * 64}, {**told, "selection": None}, {**told, "selection": {"seed": 1}}, {"schema": "x"}, []):
        path.write_text(json.dumps(wrong))
        with pytest.raises(ReviewError):
            read_report(path)
