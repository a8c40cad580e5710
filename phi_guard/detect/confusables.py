"""Letters of other scripts that pass for Latin ones, and what is written so: read as the Latin letters they are taken for.

The pairs are the commonest of Unicode's own list of confusables (UTS #39, confusables.txt), by script.
"""

from __future__ import annotations

import re
from typing import Final

_SCRIPTS: Final = (
    # Cyrillic
    "АA ВB ЕE ЅS ІI ЈJ КK МM НH ОO РP СC ТT ХX УY ԌG ԜW ԚQ ѴV ҮY ӀI аa вb еe ѕs іi їi јj кk мm нh оo рp сc тt хx уy һh ԁd ԛq ԝw ѵv ӏl үy",
    "ӧo ӓa ёe ԍg гr пn",
    # Greek
    "ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ϹC αa βb γy εe ηn ιi κk νv οo ρp σo τt υu χx ωw ϲc ϳj μu άa έe ίi όo ύu",
    # Armenian
    "ՍU ՏS ԼL աw զq հh ոn սu օo ցg յj գq",
    # Cherokee
    "ᎠD ᎡR ᎢT ᎥI ᎩY ᎪA ᎫJ ᎬE ᎳW ᎷM ᎻH ᎽY ᏀG ᏂH ᏃZ ᏎE ᏏB ᏒR ᏔW ᏕS ᏙV ᏚS ᏞL ᏟC ᏢP ᏦK ᏧD ᏩG ᏪW ᏴB",
    # small capitals and letters without their dot, which compatibility folding leaves as they are
    "ᴀa ʙb ᴄc ᴅd ᴇe ɢg ʜh ɪi ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ʀr ꜱs ᴛt ᴜu ᴠv ᴡw ʏy ᴢz ıi ȷj ɑa ɡg ɩi",
)
LATIN: Final = {pair[0]: pair[1] for script in _SCRIPTS for pair in script.split()}
"""A letter of another script, and the Latin letter it passes for."""

_RANGES: Final = ((0x1F150, "A"), (0x1F170, "A"), (0x1F1E6, "A"))
SIGNS: Final = {chr(first + n): chr(ord(letter) + n) for first, letter in _RANGES for n in range(26)} | {
    chr(0xE0000 + code): chr(code) for code in range(0x20, 0x7F)
}
"""Letters in discs and squares, flags, and the invisible tag characters, each with what it spells."""

_FOREIGN: Final = re.compile("[" + "".join(LATIN) + "]")
_WORD: Final = re.compile(r"[^\W\d_]+")


def lookalikes(text: str) -> list[tuple[int, str]]:
    """The places of letters that pass for Latin ones, each with the Latin letter, in order.

    A lone letter (``β-blocker``) is a sign; a word all of one other script is changed only if all of it passes for Latin.
    """
    if _FOREIGN.search(text) is None:
        return []
    found: list[tuple[int, str]] = []
    for word in _WORD.finditer(text):
        letters = word.group()
        if len(letters) > 1 and not letters.isascii() and all(char in LATIN or char < "\u0250" for char in letters):
            found += [(at, LATIN[char]) for at, char in enumerate(letters, word.start()) if char in LATIN]
    return found
