"""Words a caller dictates with, and the class of each: digits, tens, letters by name, connectors, fillers, months."""

from __future__ import annotations

from typing import Final

NUMBER: Final = 1
"""A word that is a number, or part of one."""
NUMERAL: Final = 2
"""Written digits."""
LETTER: Final = 4
"""One letter, or the name of one."""
TIMES: Final = 8
"""``double`` and ``triple``."""
JOIN: Final = 16
"""A sign said aloud: ``dash``, ``slash``, ``dot``."""
FILL: Final = 32
"""What people say between two digits."""
SOUND: Final = 64
"""A word that sounds like a digit, and is one only among digits."""
UNIT: Final = 128
"""What a quantity is followed by."""
MONTH: Final = 256
ORDINAL: Final = 512
CODE: Final = 1024
"""A word of a spelling alphabet."""
CUE: Final = 2048
"""A word that opens an identifier or a name; each rule has its own table of them."""
AT: Final = 4096
"""Sign of an e-mail address."""
STREET: Final = 8192
"""A word that streets end or begin with."""
STOP: Final = 16384
"""A word that is no part of a name."""

ONES: Final = {
    "zero": 0, "oh": 0, "nought": 0, "naught": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "niner": 9, "fife": 5,
    "zéro": 0, "un": 1, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "sept": 7, "huit": 8, "neuf": 9,
    "null": 0, "eins": 1, "zwei": 2, "zwo": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9,
}  # fmt: skip
TEENS: Final = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19,
    "dix": 10, "onze": 11, "douze": 12, "treize": 13, "quatorze": 14, "quinze": 15, "seize": 16,
    "zehn": 10, "elf": 11, "zwölf": 12, "dreizehn": 13, "vierzehn": 14, "fünfzehn": 15, "sechzehn": 16, "siebzehn": 17,
    "achtzehn": 18, "neunzehn": 19,
}  # fmt: skip
TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
    "vingt": 20, "vingts": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60, "septante": 70, "huitante": 80,
    "octante": 80, "nonante": 90,
    "zwanzig": 20, "dreißig": 30, "dreissig": 30, "vierzig": 40, "fünfzig": 50, "sechzig": 60, "siebzig": 70, "achtzig": 80,
    "neunzig": 90,
}  # fmt: skip
SCALES: Final = {"hundred": 100, "thousand": 1000, "cent": 100, "cents": 100, "mille": 1000, "hundert": 100, "tausend": 1000}
REPEATS: Final = {"double": 2, "triple": 3, "treble": 3, "doppel": 2}

LETTER_NAMES: Final = {
    "zee": "z", "zed": "z", "aitch": "h", "haitch": "h", "ell": "l", "ypsilon": "y", "igrec": "y", "eszett": "ß", "vee": "v",
}  # fmt: skip

SOUNDS: Final = frozenset("to too tu for fore ate won tree sex sax nein ein eine".split())  # noqa: SIM905
"""Heard in place of two, four, eight, one, three; bridged inside a run, never counted."""

JOINS: Final = frozenset(
    """
    dot point period hyphen dash slash backslash underscore plus pound hash hashtag star asterisk space colon comma stop
    tiret trait slache soulignement virgule bindestrich strich unterstrich punkt schrägstrich minus
    """.split()  # noqa: SIM905
)
STRONG_JOINS: Final = frozenset("hyphen dash underscore tiret bindestrich".split())  # noqa: SIM905
"""Signs that stand between digits in identifiers, and never in a quantity."""

FILLS: Final = frozenset(
    """
    uh uhh um umm er erm err ah eh hm hmm mm mhm like so yeah yep yes yup okay ok well right then and you know i mean let me see wait
    no nope sorry actually correction oops hold on think just again please that's thats that it's its is was letter letters capital
    uppercase lowercase cap caps small big next got
    euh ben et puis alors donc oui non pardon c'est äh ähm also und dann ja nein moment mal
    """.split()  # noqa: SIM905
)
UNITS: Final = frozenset(
    """
    milligram milligrams mg mgs microgram micrograms mcg gram grams g kg kilo kilos kilogram kilograms pound pounds lb lbs ounce
    ounces oz stone liter liters litre litres l ml mls milliliter milliliters milliliters cc ccs unit units drop drops puff puffs spray
    sprays tablet tablets pill pills capsule capsules dose doses shot shots spoon spoons teaspoon teaspoons tablespoon tablespoons cup
    cups glass glasses bottle bottles beer beers drink drinks cigarette cigarettes pack packs
    time times day days night nights week weeks weekend weekends month months year years hour hours minute minutes second seconds min
    mins hr hrs o'clock oclock am pm morning afternoon evening a.m p.m noon midnight
    percent per over out degree degrees fahrenheit celsius beats inch inches foot feet ft mile miles block blocks meter meters metre
    metres centimeter centimeters centimetre centimetres cm millimeter millimeters mm kilometer kilometers km
    kid kids child children boy boys girl girls son sons daughter daughters brother brothers sister sisters sibling siblings people
    person patients men women friends cats dogs grandchildren
    visit visits appointment appointments surgery surgeries pregnancy pregnancies episode episodes attack attacks stitch stitches
    seizure seizures session sessions step steps stairs flight flights pillow pillows refill refills thing things
    things other others different more less fewer plus minus half halves quarter quarters dollar dollars bucks cents thousand million
    fold th floors acres rooms acre grade stage type weeks' days' hours' years' months'
    tests test levels joules liters milliequivalents meq millimeters mercury systolic diastolic a
    ans an mois jours jour semaines heures heure minutes fois jahre jahr monate tage wochen stunden uhr mal prozent pour tabletten
    """.split()  # noqa: SIM905
)
"""Words after which the number before was a quantity."""

MONTHS: Final = frozenset(
    """
    january february march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec
    janvier février mars avril mai juin juillet août septembre octobre novembre décembre fevrier aout decembre
    januar jänner februar märz juni juli oktober dezember
    """.split()  # noqa: SIM905
)
DOUBTFUL_MONTHS: Final = frozenset("march may mar jan jun mars mai sept sep dec nov oct".split())  # noqa: SIM905
"""Words that are also something else: a day beside them has to be an ordinal, written, or followed by a year."""

ORDINALS: Final = frozenset(
    """
    first second third fourth fifth sixth seventh eighth ninth nineth tenth eleventh twelfth twelth thirteenth fourteenth fifteenth
    sixteenth
    seventeenth eighteenth nineteenth twentieth thirtieth
    premier erster ersten erste zweiter zweiten zweite dritter dritten dritte vierter vierten vierte fünfter fünften fünfte
    dreizehnten vierzehnten fünfzehnten sechzehnten siebzehnten achtzehnten neunzehnten zwanzigsten dreißigsten dreissigsten
    einunddreißigsten einundzwanzigsten zweiundzwanzigsten dreiundzwanzigsten vierundzwanzigsten fünfundzwanzigsten sechsundzwanzigsten
    siebenundzwanzigsten achtundzwanzigsten neunundzwanzigsten vierzehnter fünfzehnter sechzehnter zwanzigster dreißigster
    sechster sechsten sechste siebter siebten siebte achter achten achte neunter neunten neunte zehnter zehnten zehnte elfter elften
    elfte zwölfter zwölften zwölfte
    """.split()  # noqa: SIM905
)

ENGLISH_CODE: Final = frozenset(
    """
    alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett juliette kilo lima mike november oscar papa quebec romeo
    sierra tango uniform victor whiskey whisky xray yankee zulu
    able baker dog easy fox george how item jig king love nan oboe peter queen roger sugar tare uncle william zebra
    """.split()  # noqa: SIM905
)
"""The ICAO alphabet, and the one before it that telephone callers still use."""
POLICE_CODE: Final = frozenset(
    """
    adam boy charles david edward frank henry ida john lincoln mary nora ocean paul robert sam tom union young
    """.split()  # noqa: SIM905
)
"""The APCO alphabet of North American dispatchers, without the words that are in the others."""
GERMAN_CODE: Final = frozenset(
    """
    anton ärger berta cäsar dora emil friedrich gustav heinrich ida julius kaufmann konrad ludwig martha nordpol otto ökonom paula quelle
    richard samuel siegfried schule theodor ulrich übermut viktor wilhelm xanthippe zacharias zeppelin
    """.split()  # noqa: SIM905
)
"""DIN 5009, in the form spoken before 2022."""
FRENCH_CODE: Final = frozenset(
    """
    anatole berthe célestin désiré eugène françois gaston henri irma joseph kléber louis marcel nicolas oscar pierre quintal raoul
    suzanne thérèse ursule victor william xavier yvonne zoé
    """.split()  # noqa: SIM905
)

AS_IN: Final = frozenset("as for like wie comme".split())  # noqa: SIM905
"""Words between a letter and the word that tells it."""

ABBREVIATIONS: Final = frozenset(
    """
    abc abcd abcs abg abi acl adhd alt ast asdf als adh adl adls aed afib aids ama amp arb ards asa avm
    bid bmi bmp bpm bph bun cad cabg cbc cc cmv crt ct cna cbd ccu cdc ceo chf cia cmp cms cns copd covid cpap cpr cpt crp csf cta
    ctscan cva cvs
    dea dexa dd dic dka dmv dna dnr dob dpt dtap dui dvd dvt ecg ecog echo ecmo ed eeg ega egd ekg emg emr ems ent epa ercp esr etoh ecv
    faq fbi fda fmla fyi gad gcs gerd gfr ggt gi gps gpa gyn gbs gcsf hba hcg hct hdl heent hgb hib hiv hmo hpi hpv hrt hsv
    ibd ibm ibs iga igg igm icd icu id idk ids iep inr ira irs iud iv ivf jak kg ivp kub lasik lbs tlif ldl leep lft lfts llc lmp lpn lsd
    mba mcg mg ml mm mcl mcv mds mma mmr mpa mua mph mra mri mris mrn mrsa mva nba ncaa nfl ngt nhl nhs nicu nih npo nsaid nsaids nyc
    nsr nst nsvt
    obgyn ocd oct odt orif ood otc pacu pap pcl pcos pcp pcr pe pin pmh pmt pt pdf pet picc picu pid pms pnd poa ppd ppe ppo prn psa
    psat pta ptsd ptt pvc
    qday qhs qid qod rbc rn rna rnp rom ros rsv rsvp ssn ssri sat sids snf sbe scfe sed sicu sob std stds sti stis sts
    tah tb tbi ted tens tia tid tmj tpn tsa tsh tss tv ufc uk upj uri urti us usa usda uti utis uv
    vhs vip vre wbc wic wnl wpw xyz ymca mtp im asap aka faqs eta diy ggt cll cml all aml rls pvd pad pft pfts gtt sle mvp tgif ptn lvh
    lad
    """.split()  # noqa: SIM905
)
"""Letters people say one by one that spell no one's name: medical and everyday abbreviations."""

PROVIDERS: Final = frozenset(
    """
    gmail googlemail hotmail yahoo ymail icloud aol protonmail gmx bluewin rocketmail verizon comcast sbcglobal earthlink hushmail
    fastmail wanadoo laposte posteo
    """.split()  # noqa: SIM905
)
WEAK_PROVIDERS: Final = frozenset("outlook msn proton sfr att zoho bellsouth".split())  # noqa: SIM905
"""Providers whose name is also a word; they count after ``at``."""
DOMAINS: Final = frozenset(
    """
    com org net edu gov mil int info biz name co uk us ca de ch fr at eu it es nl be br in au nz io ai me tv app dev xyz online site
    email jp cn ru pl se no dk fi pt ie il za mx ar cl kr tr gr cz hu ro in health clinic care hospital doctor example test invalid
    local web cloud tech store shop blog page link
    """.split()  # noqa: SIM905
)

STREETS: Final = frozenset(
    """
    street st avenue ave road rd lane str ln drive dr court ct place pl boulevard blvd way terrace close square circle highway hwy parkway
    pkwy trail crescent alley loop route turnpike freeway grove mews row plaza expressway pike crossing
    """.split()  # noqa: SIM905
)
CLEAR_STREETS: Final = frozenset("street avenue ave boulevard blvd parkway highway turnpike crescent".split())  # noqa: SIM905
"""Street words that are seldom anything else."""
FRENCH_STREETS: Final = frozenset(
    """
    rue avenue boulevard chemin impasse allée quai place route ruelle cours faubourg rua
    """.split()  # noqa: SIM905
)
GERMAN_STREETS: Final = ("strasse", "straße", "gasse", "gässli", "platz", "weg", "allee", "damm", "ufer")


def _classes() -> dict[str, int]:
    table: dict[str, int] = {}
    for words, kind in (
        ((*ONES, *TEENS, *TENS, *SCALES), NUMBER),
        (LETTER_NAMES, LETTER),
        (REPEATS, TIMES),
        (JOINS, JOIN),
        (FILLS, FILL),
        (SOUNDS, SOUND),
        (UNITS, UNIT),
        (MONTHS, MONTH),
        (ORDINALS, ORDINAL),
        ((*ENGLISH_CODE, *POLICE_CODE, *GERMAN_CODE, *FRENCH_CODE), CODE),
        (("at", "arobase", "klammeraffe", "@", "arroba"), AT),
        ((*PROVIDERS, "www", "https", "http", "underscore"), AT),
        ((*STREETS, *FRENCH_STREETS), STREET),
    ):
        for word in words:
            table[word] = table.get(word, 0) | kind
    for sign in "-/.+#*_":
        table[sign] = JOIN
    return table


CLASSES: Final = _classes()
"""Every word that any rule looks for, and the classes it is in."""
