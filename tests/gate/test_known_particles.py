"""The particle of a name is an ordinary word: found with its name, and not alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi_guard import known_values
from phi_guard.known_particles import PARTICLES, particles_in
from phi_guard.known_values import KnownValues

NAMES = ["Berg", "Heide", "Roux", "Cruz", "Santos", "Acqua", "Anna", "Minh", "Lê", "Müller", "J"]
ORDINARY = ["the", "wartet", "Herr", "avec", "hoy", "und", "bad"]


def known(*values, named=True):
    holds = KnownValues(alone=False)
    holds.add_all((value, named) for value in values)
    return holds


def covered(holds, text):
    return {at for found in holds.find(text) for at in range(found.start, found.end)}


def found(value, text, *, named=True):
    return "".join(char if at in covered(known(value, named=named), text) else "." for at, char in enumerate(text))


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("Anna von Berg", "von der Praxis an Frau von Berg", ".......................von Berg"),
        ("Anna von der Heide", "der Termin von der Heide", "...........von der Heide"),
        ("Anna von der Heide", "der Heide, von hier", "der Heide.........."),
        ("Jean le Roux", "Le docteur Le Roux", "...........Le Roux"),
        ("María de la Cruz", "la cita de la Cruz", "........de la Cruz"),
        ("Pedro dos Santos", "dos dias, dos  Santos", "..........dos  Santos"),
        ("Ida dell'Acqua", "dell'Acqua o dell'altra", "dell'Acqua............."),
        ("Piet van den Berg", "van 9 tot 10, van-den Berg", "..............van-den Berg"),
        ("Goethe, Johann von", "von hier, von Goethe", "..........von Goethe"),
        ("avenue des Ormes 3", "des Ormes et des fleurs", "des Ormes.............."),
    ],
)
def test_a_particle_is_found_with_its_name_and_not_alone(value, text, expected):
    """In six languages, in capitals, behind the name, with whatever stands between."""
    assert found(value, text) == expected


def test_the_whole_name_is_found_as_ever():
    """Though each word of it may be ordinary."""
    assert found("von Bad", "Herr von Bad") == ".....von Bad"
    assert found("Anna von Berg", "annavonberg") == "annavonberg"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Minh Le", "Mr. Le called"),
        ("Le", "Le called"),
        ("Van", "van"),
        ("Van Le", "Le or Van"),
        ("Le, Minh", "Mr Le"),
        ("LE MINH", "Mr Le"),
        ("Minh Le Jr", "Mr Le"),
        ("Les Brown", "hi les"),
        ("Des O'Connor", "hi des"),
        ("Van Nguyen", "hello van"),
        ("Priya Das, MD", "Dr Das"),
    ],
)
def test_what_no_name_follows_is_a_name_itself(value, text):
    """A name that is spelled as a particle is no particle."""
    assert re.search("(?i)van|le|das|des", text).start() in covered(known(value), text)


def test_an_unknown_fields_name_has_particles_too():
    """Of it only what is in capitals is learnt."""
    assert found("Frau von Berg", "von hier, von Berg", named=False) == "..........von Berg"


def test_small_letters_alone_tell_no_particle_from_a_name_at_the_end():
    """Where nothing is in capitals, the last word is a name."""
    assert particles_in(["tran", "van"]) == set()
    assert particles_in(["tran", "van", "le"]) == set()
    assert particles_in(["Goethe", "von"]) == {"von"}


def test_the_gate_finds_a_particle_alone_too():
    """Unless it is asked not to: what is removed errs on the other side than what counts as evidence."""
    holds = KnownValues()
    holds.add("Anna von Berg", named=True)
    assert covered(holds, "von hier") == {0, 1, 2}


WORDS = st.sampled_from([*sorted(PARTICLES), *NAMES, *ORDINARY, *(word.capitalize() for word in sorted(PARTICLES))])
SPACES = st.sampled_from([" ", "  ", "-", ", ", "'", "\n"])


@st.composite
def phrases(draw, most):
    words = draw(st.lists(st.tuples(WORDS, SPACES), min_size=1, max_size=most))
    return "".join(word + space for word, space in words)


@given(values=st.lists(st.tuples(phrases(4), st.booleans()), min_size=1, max_size=3), text=phrases(8))
@settings(max_examples=400, deadline=None)
def test_nothing_but_a_lone_particle_is_missed_that_was_found_while_particles_were_names(values, text):
    """The same values without any particle: what they find and these do not is a particle before no name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_values, "particles_in", lambda pieces: set())
        before = KnownValues()
        before.add_all(values)
        was = covered(before, text)
    now = KnownValues(alone=False)
    now.add_all(values)
    is_ = covered(now, text)
    words = [match.span() for match in re.finditer(r"[^\W\d_]+", text)]
    for (start, end), (following, _) in zip(words, [*words[1:], (-9, -9)], strict=True):
        if was & set(range(start, end)) - is_:
            assert text[start:end].lower() in PARTICLES
            assert following not in is_ or following - end > 3
