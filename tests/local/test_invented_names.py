"""The load test's callers bear names with particles, which are followed as a whole and met by no ordinary sentence."""

from __future__ import annotations

from random import Random

import pytest

from audit.rehearsal.canary import Canary, count
from audit.rehearsal.scenes import invent_person

SENTENCES = {
    "de": "Der Termin von der Praxis zu Beginn der Woche, vom Arzt und von der Kasse bestätigt; zu Hause von acht bis zehn.",
    "fr": "Le rendez-vous de la semaine, du docteur, à la clinique ; le dossier de la caisse et du centre.",
    "en": "The appointment of the week, from the doctor at the clinic; the file of the insurer and of the centre.",
}


@pytest.mark.parametrize(("language", "particle"), [("de", "von der "), ("de", "von "), ("fr", "des "), ("fr", "de la ")])
def test_a_caller_with_a_particle_is_found_by_the_name_and_by_no_article(language, particle):
    """Ten callers of each: nothing of an ordinary sentence is theirs, and each name is, also when only the family name is said."""
    chance, found = Random(5), []
    while len(found) < 10:
        person = invent_person(chance, language)
        family = person.name.partition(" ")[2]
        rest = family.removeprefix(particle)
        if rest != family and rest[0].isupper():
            found.append((Canary(person.name, "patient_name", "caller"), family))
    names = [canary for canary, _ in found]
    assert count(names, [{"name": "agent_turn", "outputs": {"text": SENTENCES[language]}}]).arrived == 0
    for canary, family in found:
        assert count([canary], [{"outputs": {"text": f"{SENTENCES[language]} {family}"}}]).arrived == 1
