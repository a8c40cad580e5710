"""Words of a clinic's day that are no one's name. Title case makes NER take them for one."""

from __future__ import annotations

import re
from typing import Final

WORDS: Final = frozenset(
    """
    abdomen abdominal ache aches acute advice allergic allergies allergy ankle annual antibiotic antibiotics anxiety
    appointment arthritis asthma back bad belly birth bleeding bloating blood breath breathing bruise bug burn burning
    call callback caller calls cancel cancer cardiac chest chills chronic clinic cold colonoscopy congestion
    constipation consult consultation contact cough coughing cramps daily dental diabetes diabetic diarrhea dizziness
    dizzy doctor dose drug ear earache eczema elbow email exam eye eyes face fall fatigue feet fever fevers finger flu
    follow followup foot fracture hand hands head headache headaches heart heartburn heat high hip history hives hurts
    imaging infection injection injury insomnia insurance interpreter itch itching itchy joint joints kidney knee knees
    lab labs left leg legs letter liver low lower lump lung lungs medication medications medicine migraine migraines
    mild mole moles mouth mrn muscle nausea neck nerve new night nose note number numbness nurse pain painful pains
    palpitations patient pediatric persistent phone physical pill pills pneumonia prescribed prescription pressure
    problem problems pt rash referral refill regimen report request results right routine runny screening severe shot
    shots shoulder shoulders sick sinus skin sleep sleeping sneezing sore spine sprain stiffness stomach stool surgery
    swelling swollen symptoms test tests therapy throat thyroid tingling tired toe tongue tooth toothache torso
    treatment tummy ulcer upper urgent urinary urine vaccination vaccine vision visit vitamin vomiting wants weak
    weakness week weekly weeks weight wheezing wound wrist x-ray xray yearly
    a an and at for from her his in is it my no not of off on or our per pretty since the to up with your
    """.split()  # noqa: SIM905 - a hundred quoted words are harder to read and to keep in order
)
"""Complaints, body parts and the errands of a practice, with the words that join them; none is common as a given or family name."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def is_harmless(text: str) -> bool:
    """Whether every word of the text is one of `WORDS`; a text with a digit, or with no word at all, is not."""
    words = _WORD.findall(text.lower())
    return bool(words) and not any(char.isdecimal() for char in text) and all(word in WORDS for word in words)
