"""The run-time of the token classifiers, on a network that is a table: what counts, how far it reaches, and that nothing is passed over."""

from __future__ import annotations

import hashlib
import string
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from phi_guard.detect import classifier
from phi_guard.detect.classifier import MAX_WINDOWS, OVERLAP, UNREADABLE, WINDOW, TokenClassifier, open_session, open_tokenizer, read_files
from phi_guard.errors import DetectorUnavailable

LABELS = ("O", "B-NAME", "I-NAME", "B-PHONE", "I-PHONE", "B-CITY", "I-CITY")
ENTITIES = {"NAME": "PERSON", "PHONE": "PHONE_NUMBER", "CITY": "LOCATION"}
WORDS = ("olga", "petrov", "lima", "the", "fever", "555", "0134", "sen")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def small_tokenizer():
    """Cuts the words above whole and all others into letters; what is no ASCII letter, digit or punctuation is unknown."""
    single = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*SPECIAL, *WORDS, *single, *(f"##{char}" for char in single)]
    made = Tokenizer(models.WordPiece({p: i for i, p in enumerate(dict.fromkeys(pieces))}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(list(SPECIAL))
    return open_tokenizer(made.to_str().encode())


class Table:
    """A session that gives each piece the probabilities written down for it, whatever stands around it, and counts what it is asked."""

    def __init__(self, tokenizer, inputs=("input_ids", "attention_mask"), **rows):
        self.inputs = inputs
        self.asked = []
        self.logits = np.full((tokenizer.get_vocab_size(), len(LABELS)), -20.0, dtype=np.float32)
        self.logits[:, 0] = 0.0
        for piece, row in rows.items():
            for label, probability in row.items():
                self.logits[tokenizer.token_to_id(piece.strip("_")), LABELS.index(label)] = np.log(probability / (1 - probability))

    def get_inputs(self):
        return [SimpleNamespace(name=name) for name in self.inputs]

    def run(self, names, feed):
        assert set(feed) == set(self.inputs)
        assert all(given.dtype == np.int64 for given in feed.values())
        self.asked.append(feed)
        return [self.logits[feed["input_ids"]]]


ROWS = {
    "olga": {"B-NAME": 0.9},
    "petrov": {"I-NAME": 0.4},
    "sen": {"B-NAME": 0.9},
    "lima": {"B-CITY": 0.15},
    "_555": {"B-PHONE": 0.8},
    "_0134": {"I-PHONE": 0.8},
}


def made(rows=ROWS, **options):
    """A classifier over the table."""
    tokenizer = small_tokenizer()
    return TokenClassifier("net", Table(tokenizer, **rows), tokenizer, LABELS, options.pop("entities", ENTITIES), **options)


@pytest.fixture(scope="module")
def net():
    """The classifier over `ROWS`."""
    return made()


def found(detector, text):
    """What is found, as words and entities."""
    return [(text[d.start : d.end], d.entity) for d in detector.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the fever", []),
        ("", []),
        (" \t\n ", []),
        ("Olga has fever", [("Olga", "PERSON")]),
        ("olga petrov", [("olga petrov", "PERSON")]),
        ("olga the petrov", [("olga", "PERSON"), ("petrov", "PERSON")]),
        ("olga 555-0134", [("olga", "PERSON"), ("555-0134", "PHONE_NUMBER")]),
        ("(555) 0134!", [("555) 0134", "PHONE_NUMBER")]),
        ("olga, petrov", [("olga", "PERSON"), ("petrov", "PERSON")]),
        ("mail olga.fever@the.org now", [("olga.fever@the.org", "PERSON")]),
        ("the olgasen fever", [("olgasen", "PERSON")]),
        ("d'olga-the's fever", [("d'olga-the's", "PERSON")]),
        ("lima-555", [("lima-555", "PHONE_NUMBER")]),
        ("jo\u0301 olga\u0301\u0302 the", [("olga\u0301\u0302", "PERSON")]),
        ("ol\u200bga\u200d the", [("ol\u200bga\u200d", "PERSON")]),
        ("o\x00lga the", [("o\x00lga", "PERSON")]),
        ("\U0001f600 olga \U0001d409", [("olga", "PERSON"), ("\U0001d409", UNREADABLE)]),
        ("[SEP] [UNK] [MASK] olga", [("olga", "PERSON")]),
    ],
)
def test_what_is_found_and_how_far_it_reaches(net, text, expected):
    """Pieces become whole words, words of one entity one stretch, and offsets are into the text as given."""
    assert found(net, text) == expected


def test_score_and_source_are_those_of_the_likeliest():
    """A stretch bears the label and the probability of its surest word."""
    (detection,) = made().find("petrov olga")
    assert detection.source == "net.name"
    assert detection.score == pytest.approx(0.9, abs=1e-4)


def test_labels_add_up_to_not_o():
    """Two labels of 7 % each are more than the threshold, and neither is."""
    split = {"fever": {"B-NAME": 0.08, "B-CITY": 0.07}}
    assert found(made(split), "the fever") == [("fever", "PERSON")]
    assert found(made({"fever": {"B-NAME": 0.08}}), "the fever") == []


def test_thresholds_and_left_out_labels():
    """The threshold is the argument, but for labels that have their own; a label without an entity does not count at all."""
    assert found(made(threshold=0.5), "olga petrov in lima") == [("olga", "PERSON")]
    assert found(made(thresholds={"CITY": 0.2, "NAME": 0.95}), "olga in lima 555") == [("555", "PHONE_NUMBER")]
    assert found(made(threshold=0.5, thresholds={"CITY": 0.1}), "petrov in lima") == [("lima", "LOCATION")]
    assert found(made(entities={"PHONE": "PHONE_NUMBER"}), "olga 555 lima") == [("555", "PHONE_NUMBER")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"entities": {}}, "no label counts"),
        ({"entities": {"NAMES": "PERSON"}}, r"\['NAMES'\] are not among its labels"),
        ({"entities": {"O": "NOTHING"}}, "'O' must be among"),
        ({"thresholds": {"STREET": 0.1}}, r"\['STREET'\] are not among its labels"),
        ({"entities": {"NAME": "PERSON"}, "thresholds": {"CITY": 0.1}}, r"thresholds for \['CITY'\]"),
        ({"threshold": 0.0}, "must lie between 0 and 1"),
        ({"threshold": float("nan")}, "must lie between 0 and 1"),
        ({"thresholds": {"CITY": 1.0}}, r"\['CITY'\] must lie"),
    ],
)
def test_what_does_not_fit_is_refused(options, said):
    """A label spelt wrongly would silently find nothing."""
    with pytest.raises(DetectorUnavailable, match=said):
        made(**options)


def test_a_tokenizer_without_its_special_pieces_is_refused():
    """Without [UNK] an unknown word would not be known as one."""
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    with pytest.raises(DetectorUnavailable, match="lacks one of"):
        TokenClassifier("net", Table(small_tokenizer()), tokenizer, LABELS, ENTITIES)


@pytest.mark.parametrize(
    "word", ["x" * 101, "1" * 150, "\u00e9" * 100_000, "\u0416ohn", "fever\u4e00", "\U0001f1ef\U0001f1f4", "\u24d9ohn"]
)
def test_what_cannot_be_read_is_found(net, word):
    """A word that is too long, or holds a letter the network never saw, was judged by nobody."""
    assert (word, UNREADABLE) in found(net, f"the {word}, the") or found(net, f"the {word}, the")[0][1] == UNREADABLE
    assert all("the" not in words for words, _ in found(net, f"the {word}, the"))


@pytest.mark.parametrize("text", ["\U0001f600\U0001f44d\U0001f3fd", "\u2014 \u2022 \u2713", "\ue000", "\u200b\u00ad", "..."])
def test_what_says_nothing_is_left(net, text):
    """Unknown too, but neither letter nor digit, in whatever guise."""
    assert net.find(text) == ()


def test_full_stops_that_count_take_no_word_with_them():
    """A network is often unsure of the stop after a name."""
    assert found(made({".": {"B-NAME": 0.5}}), "the fever. the") == []


@given(st.text(max_size=300) | st.text(alphabet="olga5-.'@ \ud800\u0301\U0001f600\u0130\ufb01\xdf\x00", max_size=300))
def test_every_text_is_judged(text):
    """No text makes it raise; what is found lies inside, in order, apart, and holds a character that counts."""
    detections = SHARED.find(text)
    assert all(0 <= d.start < d.end <= len(text) for d in detections)
    assert all(a.end <= b.start for a, b in pairwise(detections))
    assert all(text[d.start : d.end].strip() for d in detections)


@given(
    st.lists(
        st.sampled_from(["the", "fever", "\ufb01x", "\u0130", "stra\xdfe", "\U0001f600", "\ud800", "e\u0301", "\x00", "n\u200b"]),
        max_size=30,
    )
)
def test_a_name_is_found_at_its_place_whatever_stands_before(before):
    """Characters that change length in lower case, that vanish, or that take two units do not shift the offsets."""
    text = " ".join([*before, "olga", "the"])
    start = len(text) - len("olga the")
    assert any((d.start, d.end, d.entity) == (start, start + 4, "PERSON") for d in SHARED.find(text))


@given(st.lists(st.text(alphabet="olga petrv5-.x", max_size=400), max_size=12))
def test_a_batch_gives_what_each_alone_gives(texts):
    """Order, company and padding change nothing."""
    assert SHARED.find_many(texts) == [SHARED.find(text) for text in texts]


SHARED = made()


class TestWindows:
    """Texts longer than a window."""

    def test_every_piece_is_in_a_window_and_far_from_its_end_in_one(self):
        """Windows cover the text, none is too long, and neighbours share `OVERLAP` pieces."""
        tokenizer = small_tokenizer()
        session = Table(tokenizer)
        text = " ".join(f"{i:05d}"[::-1] for i in range(200))
        TokenClassifier("net", session, tokenizer, LABELS, ENTITIES).find(text)
        rows = [row[mask == 1][1:-1].tolist() for feed in session.asked for row, mask in zip(*feed.values(), strict=True)]
        assert max(map(len, rows)) == WINDOW
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        starts = range(0, len(ids) - OVERLAP, WINDOW - OVERLAP)
        assert sorted(rows) == sorted(ids[start : start + WINDOW] for start in starts)

    @pytest.mark.parametrize("before", [0, 90, 93, 94, 95, 120, 124, 125, 126, 127, 200, 1000])
    def test_a_name_is_found_wherever_a_window_ends(self, net, before):
        """Also one that is cut by the end of a window."""
        assert found(net, "the " * before + "olgasen petrov" + " the" * 200) == [("olgasen petrov", "PERSON")]

    def test_the_highest_judgement_of_all_windows_counts(self):
        """A piece is found if any window finds it, with the score of the surest."""

        class OnlyAtTheFront(Table):
            def run(self, names, feed):
                (logits,) = super().run(names, feed)
                logits[:, 40:] = self.logits[0]
                return [logits]

        tokenizer = small_tokenizer()
        detector = TokenClassifier("net", OnlyAtTheFront(tokenizer, **ROWS), tokenizer, LABELS, ENTITIES)
        near, far = "the " * (WINDOW - OVERLAP + 8) + "olga " + "the " * 100, "the " * 60 + "olga"
        assert found(detector, near) == [("olga", "PERSON")]
        assert found(detector, far) == []

    def test_equal_windows_are_judged_once(self):
        """A hundred thousand equal words cost what two windows cost."""
        tokenizer = small_tokenizer()
        session = Table(tokenizer)
        TokenClassifier("net", session, tokenizer, LABELS, ENTITIES).find_many(["the " * 100_000, "the " * WINDOW])
        assert sum(len(feed["input_ids"]) for feed in session.asked) <= 2

    def test_what_nobody_read_is_found(self):
        """Past the limit of different windows the rest counts as found, in one stretch to the end."""
        tokenizer = small_tokenizer()
        session = Table(tokenizer)
        text = " ".join(f"{i:05d}" for i in range(2_000))
        (detection,) = TokenClassifier("net", session, tokenizer, LABELS, ENTITIES, windows=10).find(text)
        assert (detection.entity, detection.source, detection.end) == (UNREADABLE, "net.unreadable", len(text))
        assert sum(len(feed["input_ids"]) for feed in session.asked) == 10
        judged = tokenizer.encode(text, add_special_tokens=False).offsets[9 * (WINDOW - OVERLAP) + WINDOW]
        assert judged[0] - 5 <= detection.start <= judged[0]
        assert TokenClassifier("net", session, tokenizer, LABELS, ENTITIES, windows=None).find(text) == ()
        assert made().find(" ".join(["the"] * MAX_WINDOWS * WINDOW)) == ()

    def test_characters_past_the_limit_are_found(self, monkeypatch):
        """A text is cut into pieces up to a length; what stands beyond it counts as found."""
        monkeypatch.setattr(classifier, "MAX_CHARS", 100)
        assert found(made(), "the " * 24 + "the fever fever") == [("fever fever", UNREADABLE)]
        assert found(made(), "the " * 25 + " ... ") == []

    def test_a_run_stays_small(self):
        """However many texts there are, no run holds more pieces than `BATCH`, padding included, and little of it is padding."""
        tokenizer = small_tokenizer()
        session = Table(tokenizer)
        texts = [" ".join(f"{i * 7919 % 99991:05d}" for i in range(n, n + 1 + n % 30)) for n in range(300)]
        TokenClassifier("net", session, tokenizer, LABELS, ENTITIES).find_many(texts)
        assert max(feed["input_ids"].size for feed in session.asked) <= classifier.BATCH
        assert sum(feed["attention_mask"].sum() for feed in session.asked) > 0.9 * sum(feed["input_ids"].size for feed in session.asked)

    @pytest.mark.parametrize(
        "unit", ["a.", "1 ", "a ", "0-", "a", "olga.", "olga ", "\u0301", "\U0001f600", "\ud800", "[UNK]", "a@a ", "\u4e00"]
    )
    def test_hostile_texts_are_judged(self, net, unit):
        """100 KB of anything is judged; nothing in it is searched twice from the same place."""
        text = unit * (100_000 // len(unit))
        assert all(0 <= d.start < d.end <= len(text) for d in net.find(text))


class TestFaults:
    """A network that breaks has judged nothing."""

    @pytest.mark.parametrize(
        "outputs",
        [
            lambda feed: np.full((*feed["input_ids"].shape, len(LABELS)), np.nan, dtype=np.float32),
            lambda feed: np.full((*feed["input_ids"].shape, len(LABELS)), np.inf, dtype=np.float32),
            lambda feed: np.zeros((*feed["input_ids"].shape, len(LABELS) - 1), dtype=np.float32),
            lambda feed: np.zeros((1, len(LABELS)), dtype=np.float32),
        ],
    )
    def test_logits_that_are_none_withhold_the_text(self, outputs):
        """NaN is below every threshold: left alone it would read as harmless."""
        tokenizer = small_tokenizer()
        session = Table(tokenizer)
        session.run = lambda names, feed: [outputs(feed)]
        with pytest.raises(DetectorUnavailable, match="withhold it"):
            TokenClassifier("net", session, tokenizer, LABELS, ENTITIES).find("olga")

    def test_a_fault_quotes_nothing(self):
        """The library's message may hold the text; neither ours nor its cause does."""

        def broken(names, feed):
            msg = "cannot read olga"
            raise RuntimeError(msg)

        tokenizer = small_tokenizer()
        session = Table(tokenizer)
        session.run = broken
        with pytest.raises(DetectorUnavailable, match="RuntimeError") as caught:
            TokenClassifier("net", session, tokenizer, LABELS, ENTITIES).find("olga")
        assert "olga" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_token_types_are_given_where_they_are_asked_for(self):
        """The packaged graph wants them, ours does not."""
        tokenizer = small_tokenizer()
        session = Table(tokenizer, inputs=("input_ids", "attention_mask", "token_type_ids"), **ROWS)
        assert found(TokenClassifier("net", session, tokenizer, LABELS, ENTITIES), "olga") == [("olga", "PERSON")]
        assert not session.asked[0]["token_type_ids"].any()

    def test_bytes_that_are_no_network_are_refused(self):
        """With what to do; the libraries' own words are not passed on."""
        with pytest.raises(DetectorUnavailable, match="install the requirements again"):
            open_session(b"no graph")
        with pytest.raises(DetectorUnavailable, match="install the requirements again"):
            open_tokenizer(b"\xff")


def test_only_the_files_that_were_measured_are_read(tmp_path):
    """A file that is missing or another one is named, with the command that puts it right."""
    (tmp_path / "net.onnx").write_bytes(b"weights")
    digests = {"net.onnx": hashlib.sha256(b"weights").hexdigest()}
    assert read_files(tmp_path, digests, "pip install it") == {"net.onnx": b"weights"}
    (tmp_path / "net.onnx").write_bytes(b"Weights")
    with pytest.raises(DetectorUnavailable, match=r"net\.onnx: is not the file .*run: pip install it"):
        read_files(tmp_path, digests, "pip install it")
    with pytest.raises(DetectorUnavailable, match=r"gone\.json: cannot be read .*run: pip install it"):
        read_files(tmp_path, {"gone.json": ""}, "pip install it")
