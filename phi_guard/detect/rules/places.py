"""Where a person lives or is treated: street addresses, boxes, postal codes, towns by cue, hospitals by name."""

from __future__ import annotations

import re
from typing import Final

from phi_guard.detect.rule import PatternRule
from phi_guard.detect.rules.ordinary import is_ordinary, leading_name

_STREET: Final = (
    "street|avenue|ave|road|rd|boulevard|blvd|drive|lane|ln|court|place|way|terrace|parkway|pkwy|highway|hwy|circle|square|trail"
    "|crescent|cres|quay|wharf|parade|esplanade|expressway|freeway|crossing|landing|cove|hollow|vista|rise"
    "|gardens|grove|mews|alley|plaza|close|walk|row|loop|path|pike|turnpike|ridge|st|dr|ct|pl"
)
_SURE_STREET: Final = "street|avenue|ave|road|rd|boulevard|blvd|lane|ln|parkway|pkwy|terrace|crescent|highway|hwy|turnpike"
_NOT_A_STREET: Final = (
    "mg|mcg|ml|g|kg|x|pills?|tablets?|tabs?|capsules?|doses?|times?|days?|weeks?|months?|years?|hours?|minutes?|mins?|h|am|pm|percent"
    "|per|a|an|and|or"
    "|in|on|of|for|to|by|at|is|was|the|with|from|ago|that|this|his|her|my|way|out|which|pain|points?|degrees?|fold|more|over|under|miles?|feet|inch(?:es)?"
    "|patients?"
)
_WORD: Final = rf"(?!(?:{_NOT_A_STREET})\b)[^\W\d_][\w'’.-]{{0,30}}"
_STATE: Final = "A[AEKLPRZ]|C[AOT]|DE|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]|W[AVIY]|DC"
_FRENCH: Final = (
    "rue|avenue|boulevard|bd|chemin|quai|impasse|allée|allee|route de|route du|route des|place de|place du|place des|sentier|ruelle"
)
_CAP: Final = r"(?-i:[A-ZÀ-ÖØ-ÞŁŚŠŽČĐŐŰ])[\w'’.-]{1,30}"
_UNIT: Final = r"(?:,?\s{0,2}(?:apt|apartment|suite|ste|unit|floor|fl|room|rm|flat|#)\.?\s{0,2}#?\w{1,6})?"
_CARE: Final = (
    r"(?:hospitals?|medical (?:center|centre|group|clinic)|health(?:care)? (?:center|centre|system|clinic)|clinic|infirmary|hospice"
    r"|sanatorium"
    r"|nursing home|rehab(?:ilitation)? (?:center|centre|hospital)|cancer (?:center|centre|institute)|children['’]?s hospital"
    r"|surgery cent(?:er|re)"
    r"|urgent care|pharmacy|family practice|care home|assisted living|klinik(?:um)?|spital|krankenhaus|kantonsspital|hôpital|clinique"
    r"|ospedale)"
)
_NOT_STREETS: Final = frozenset("main other same wrong right next this that my your the a same another each every busy long rocky".split())  # noqa: SIM905


_NOT_HOUSES: Final = frozenset("the a an my your his her their our this that dairy animal wind ant funny".split())  # noqa: SIM905


_NO_TOWNS: Final = frozenset("unknown none null na n any all other required missing invalid not true false string empty blank".split())  # noqa: SIM905
"""Words in a field for a town that tell none."""


def _named_street(text: str) -> bool:
    """The word before the kind of street is a name, not ``the same`` or ``a busy``."""
    words = re.findall(r"[\w'’-]+", text.lower())
    return len(words) >= 2 and not is_ordinary(words[-2]) and words[-2] not in _NOT_STREETS


def _has_a_name(text: str) -> bool:
    """A word in it is neither ordinary nor the kind of place."""
    words = re.findall(r"[^\W\d_][\w'’-]*", text)
    return any(not is_ordinary(word) and re.fullmatch(_CARE, word, re.IGNORECASE) is None for word in words)


RULES: Final = (
    PatternRule(
        name="street",
        entity="ADDRESS",
        regex=rf"(?<![\w.,/])#?\d{{1,6}}[a-z]?(?:[-/]\d{{1,4}}[a-z]?)?,?\s{{1,3}}(?:[nsew]\.?\s|north\s|south\s|east\s"
        rf"|west\s)?(?:\d{{1,3}}(?:st|nd|rd|th)\s|{_WORD}\s{{1,3}}){{1,4}}(?:{_STREET})\b\.?"
        rf"(?:\s[nsew]{{1,2}}\b)?{_UNIT}",
        hits=("12 Oak Street", "742 evergreen terrace", "1600 Pennsylvania Ave NW", "5 N. Main St., Apt 4B", "221b baker street",
              "350 Fifth Avenue"),
        misses=("take 3 pills on the way", "2 tablets a day by a drive", "5 days in a place", "pain 7 out of 10 way worse", "500 mg st"),
        digits=True,
    ),
    PatternRule(
        name="street_no_number",
        entity="ADDRESS",
        regex=rf"\b(?:on|at|near|off|along|to|from|of|and|by|down|up)\s(?:(?:north|south|east|west"
        rf"|[nsew])\.?\s)?((?:{_WORD}\s){{0,1}}(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th))\s(?:{_SURE_STREET}))\b",
        hits=("she lives on maple street", "corner of Elm Road", "near 42nd street"),
        misses=("on the same street", "across the street", "on the road", "at a busy street", "down the lane"),
        check=_named_street,
        score=0.7,
    ),
    PatternRule(
        name="street_in_capitals",
        entity="ADDRESS",
        regex=rf"\b{_CAP}(?:\s{_CAP}){{0,2}}\s(?-i:{_STREET.title()})\b",
        hits=("Oxford Street", "Elm Road", "Maple Drive"),
        misses=("The Street", "Take The Way", "maple drive"),
        check=_named_street,
        score=0.7,
        needs=r"[A-ZÀ-ÞŁŚŠŽČĐŐŰ]\S+\s[A-Z][a-z]",
    ),
    PatternRule(
        name="house_name",
        entity="ADDRESS",
        regex=rf"\b{_CAP}(?:\s{_CAP}){{0,2}}\s(?-i:Cottage|Lodge|Vicarage|Rectory|Manor|Farm|Farmhouse|Villas?|Bungalow|Barn|Grange|Towers?"
        r"|Estates?|Apartments?|Acres|Heights|Mansions?|Flats|Halls|Dorms?)\b",
        hits=("Rose Cottage", "The Old Vicarage", "Shanti Apartments"),
        misses=("The Farm", "rose cottage", "My Apartment"),
        check=lambda text: text.split()[-2].lower() not in _NOT_HOUSES,
        score=0.5,
        needs=r"[A-Z]\S+\s[A-Z][a-z]",
    ),
    PatternRule(
        name="numbered_road",
        entity="ADDRESS",
        regex=r"\b(?:(?:county|state|farm|forest|ranch|township|us|u\.s\.)\s(?:road|rd|route|rte|highway|hwy)|hwy|highway"
        r"|interstate|mile (?:marker|post)"
        r"|exit)\.?\s#?\d{1,5}[a-z]?\b(?!\s?(?:mg|ml|%|times|days?))"
        r"|\b(?:r\.?\s?r\.?|rural route|hc|star route|general delivery)\s?#?\d{0,4},?\s(?:site|box|bx|comp"
        r"|stn)\s?#?\d{1,5}(?:,?\s(?:box|bx|comp)\s?#?\d{1,5})?",
        hits=("County Road 12", "off Hwy 9", "RR 3 Box 17", "R.R. 2, Site 4, Box 11", "mile marker 88"),
        misses=("RR 18", "RR 16 and", "on the highway", "exit 2 days later", "a county road"),
        score=0.6,
        digits=True,
    ),
    PatternRule(
        name="unit_in_words",
        entity="ADDRESS",
        regex=r"\b(?:(?:room|apartment|apt\.?|suite|box|trailer|dorm|unit|sector|plot|flat|lot|bungalow)(?:\snumber)?\s(?:one|two|three|four|five|six|seven|eight"
        r"|nine|ten|eleven|twelve"
        r"|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)"
        r"(?:[\s-](?:oh|one|two|three|four|five|six|seven|eight|nine|hundred)){0,3}\b(?!\s(?:days?|weeks?|times|hours?|months?|years?))"
        r"|(?:apartment|apt\.?|suite)\s#?(?-i:[A-Z])\b(?!['’]))",
        hits=("she is in room twelve", "apartment C", "box nine", "apt four oh two", "sector five", "plot number nine"),
        misses=("room for one", "in the room two days", "apartment a bit far", "unit of blood"),
        score=0.5,
    ),
    PatternRule(
        name="numbered_block",
        entity="ADDRESS",
        regex=r"\b(?:calle|carrera|cra|cl|kr|avenida|av|ak|ac|diagonal|dg|transversal|tv)\.?\s\d{1,3}\s?[a-z]?(?:\s(?:bis|sur|norte))?\s?"
        r"(?:#|n[°º]|(?<=\d\s)no\.\s?(?=\d{1,3}-))\s?\d{1,3}[a-z]?(?:\s?[-–]\s?\d{1,3})?\b"
        rf"|(?<![\w-])(?:\d{{1,4}}(?:-\d{{1,4}}){{1,2}},?\s)?(?:{_CAP},?\s)?{_CAP}-(?:ku|cho|chome|machi|shi|dong|gil|daero)\b",
        hits=("Calle 72 # 10-34", "Cra. 15 No. 93-60", "2-11-3 Meguro, Meguro-ku", "Gangnam-daero"),
        misses=("av 2 no change", "cl 100", "ac 3 no 500 mg", "Top-gun"),
        score=0.6,
        needs=r"#|\d-\d|[°º]|[A-Z]\S{1,30}-[a-z]",
    ),
    PatternRule(
        name="corner",
        entity="ADDRESS",
        regex=r"\b(?:corner|intersection|cross streets?)(?:\sof|\sare|\sis)?\s((?:[^\W_][\w'’.-]{0,30}\s){1,3}(?:and|&"
        r"|at)\s[^\W_][\w'’.-]{1,30}(?:\s(?:street|st|avenue|ave|road|rd)\b)?)",
        hits=("corner of maple and fifth", "intersection of Elm St and 3rd"),
        misses=("corner of the eye", "in the corner"),
        group=1,
        score=0.7,
    ),
    PatternRule(
        name="grid",
        entity="ADDRESS",
        regex=r"\b[nsew]\d{1,3}\s?[nsew]\d{3,5}\b|\b\d{2,5}\s(?:[nsew]\.?|north|south|east|west)\s\d{2,5}\s(?:[nsew]\b\.?|north|south"
        r"|east|west)",
        hits=("N64W12345", "1234 South 500 East", "350 N 200 W"),
        misses=("5 N", "3 east of 5", "L5 S1"),
        digits=True,
    ),
    PatternRule(
        name="address_by_cue",
        entity="ADDRESS",
        regex=r"\b(?:address|adresse|dirección|indirizzo|anschrift|lives? (?:at|on)|living (?:at|on)|resid(?:es?|ing) (?:at|on)"
        r"|stay(?:s|ing)? at|located at|moved to|deliver(?:ed|y)? to"
        r"|ship(?:ped)? to|mail(?:ed)? to)\b(?:\s(?:is|was|to|at|on|as"
        r"|changed))?[\s:=\"'(]{1,4}((?=[^\n;.?!\"]{0,60}\d)[^\W_][^\n;?!\"()]{3,80}?)(?=[\n;?!\"()]|[.,]\s|\.?\Z|\s(?:and|but|with"
        r"|since|for|because|street)\b)",
        hits=("address: 12 Rosenweg, Bern", "lives at Jahu 80", "home address is Nytorv 3", "moved to 14 the Rise"),
        misses=("address the issue", "lives at home", "living on a budget", "stays at work"),
        group=1,
        check=lambda text: not re.match(r"(?:\d+\s?(?:pm|am|mg|days?|weeks?|months?|years?)|[\w.+-]{1,64}@)", text, re.IGNORECASE),
        score=0.6,
        digits=True,
    ),
    PatternRule(
        name="street_french",
        entity="ADDRESS",
        regex=rf"(?:\b\d{{1,4}}\s?(?:bis|ter|[a-d])?,?\s{{1,2}})?\b(?:{_FRENCH})\s[\w'’.-]{{1,30}}(?:\s[\w'’.-]{{1,30}}){{0,4}},?\s?\d{{1,5}}\s?[a-z]?\b"
        rf"|\b\d{{1,4}}\s?(?:bis|ter|[a-d])?,?\s{{1,2}}(?:{_FRENCH})\s[\w'’.-]{{1,30}}(?:\s(?-i:[A-ZÀ-Ý])[\w'’.-]{{1,30}}){{0,3}}",
        hits=("rue du Lac 12", "12, rue du Lac", "avenue de la Gare 3b", "chemin des Vignes 7", "4 bis boulevard Victor Hugo"),
        misses=("route of administration", "route orale 5 mg", "in place for 3 days", "rue"),
        digits=True,
    ),
    PatternRule(
        name="street_one_word",
        entity="ADDRESS",
        regex=r"(?<![\w.-])[^\W\d_][\w.-]{2,30}(?:strasse|straße|str\.|gasse|weg|platz|allee|ring|damm|ufer|steig|straat|laan|plein"
        r"|gracht|kade|hof|vej|gade"
        r"|stræde|stræti|straeti|torv|all[ée]|gate|gata|gatan|veien|vägen|vegen|stien|stigen|gränd|väg|katu|kuja|polku|tie|raitti|ranta"
        r"|utca|tér|körút|braut|vegur|tún|slóð|ulica|iela|tänav|tee|maantee)\s\d{1,4}\s?[a-z]?\b(?!\s?(?:mg|ml|%|days?|weeks?|years?))",
        hits=("Bahnhofstrasse 12", "lindenweg 4a", "Hauptstr. 7", "Kerkstraat 12", "Mannerheimkatu 4", "Nørregade 12"),
        misses=("during 5 days", "norm 12", "coffee 2"),
        check=lambda text: not is_ordinary(text.split()[0])
        and not text.lower().startswith(("during", "monitoring", "suffering", "bring", "coffee", "committee", "proof", "necktie")),
        digits=True,
    ),
    PatternRule(
        name="street_via",
        entity="ADDRESS",
        regex=r"\b(?:via|viale|piazza|corso|largo|vicolo|calle|avenida|avda|paseo|plaza|carrer|camino|rua|travessa|praça|ulica|ul\."
        r"|ulice|náměstí|strada|aleja|al\.|bulevar"
        r"|trg|odos|leoforos|jalan|jl\.|av\.|alameda|estrada|rodovia|cours|c/(?!o\b"
        r"|w\b))\s(?:[^\W\d_][\w'’.-]{0,30},?\s){1,4}(?:n[°º.]\s?)?\d{1,5}(?:\s?[a-km-z])?\b(?!\s?(?:mg|ml|mcg"
        r"|days?|liters?|times)\b|(?<=\d)\s?l\b)",
        hits=("Via Roma 12", "Av. Paulista, 1578", "C/ Mayor 8", "Calle de Alcalá 7", "Rua Augusta 40 b", "via dei mulini 17"),
        misses=("via nasal cannula 2 L", "Via mouth", "via mouth 500 mg"),
        digits=True,
    ),
    PatternRule(
        name="indian_address",
        entity="ADDRESS",
        regex=r"\b(?:plot|flat|h\.?\s?no|d\.?\s?no|door|survey|shop|sector|khata)\.?\s?(?:no\.?\s?"
        r"|number\s)?[:#-]?\s?[a-z]?-?\d{1,5}[a-z]?(?:/\d{1,4})?\b(?!\s?(?:mg|ml|%))",
        hits=("plot no 44, sector 12", "flat 3b", "h.no 12/4"),
        misses=("flat affect", "plot the readings", "sector of the lung"),
        score=0.6,
        digits=True,
    ),
    PatternRule(
        name="indian_quarter",
        entity="ADDRESS",
        regex=r"\b(?:[^\W\d_][\w'’-]{2,30}\s){1,2}(?:nagar|colony|marg|chowk|vihar|puram|layout|enclave|mohalla|gali|bazaa?r|it park"
        r"|tech park|society|palya)\b",
        hits=("lakshmi nagar", "juhu park colony", "mahatma marg"),
        misses=("a new colony", "old society"),
        check=lambda text: not is_ordinary(text.split()[0]),
        score=0.6,
    ),
    PatternRule(
        name="unit_or_box",
        entity="ADDRESS",
        regex=r"\b(?:p\.?\s?o\.?\s?box|psc\s\d{1,6},?\s?box|box(?=\s\d{3})|case postale|postfach|apartado|apt\.?|apartment|suite|ste\.?"
        r"|lot|trailer|room|rm\.?|dorm"
        r"|(?:ground|\d{1,2}(?:st|nd|rd|th)) floor,?\s(?:flat|suite|room|unit)|unit(?=\s#))(?:\s{0,2}#?"
        r"|[\"']?\s?[:=]\s?[\"']?)(?=\w{0,5}\d)\w{1,8}\b(?!\s?(?:mg"
        r"|ml|air|temp\w*|degrees))",
        hits=("PO Box 441", "P.O. Box 12", "case postale 77", "Suite 292", "apt 4B", "PSC 441, Box 12", "room 204", "lot 12",
              '{"room": "12"}'),
        misses=("suite of tests", "box of 12", "po 5 mg", "room air", "a lot 5 mg"),
        digits=True,
    ),
    PatternRule(
        name="zip",
        entity="ZIP_CODE",
        regex=rf"(?<!\d)\d{{5}}-\d{{4}}(?!\d)|\b(?-i:{_STATE}),?\s{{1,2}}\d{{5}}\b|\b(?:CH|D|F|A|FR|DE|AT)-\d{{4,5}}\b",
        hits=("94110-1234", "San Francisco CA 94110", "CH-1003"),
        misses=("post 500 mg", "12000 units", "E11.9", "D-3 1000 mg"),
        digits=True,
    ),
    PatternRule(
        name="zip_by_cue",
        entity="ZIP_CODE",
        regex=r"\b(?:zip|postal|post|plz|code postal|postleitzahl|cap|cp)(?:[\s_-]?code)?\W{0,4}(?:is\s"
        r"|was\s)?((?=[a-z\d]{0,4}\d)[a-z\d]{3,5}(?:[\s-][a-z\d]{1,4})?)\b(?!\s?(?:mg|ml|mcg|units|%))",
        hits=("zip code is 94110", "postal code: 1003", "zip 394 13", "ZIP: 1011 AB", "plz 8001"),
        misses=("post 500 mg", "post op", "cap 500mg", "zip lining"),
        group=1,
        check=lambda text: sum(char.isdecimal() for char in text) >= 2 and not text.lower().endswith(("mg", "ml")),
        digits=True,
    ),
    PatternRule(
        name="zip_and_town",
        entity="ADDRESS",
        regex=r"(?<![\w.,/:-])(?:\d{5}|\d{3}\s\d{2}|(?!19"
        r"|20)[1-9]\d{3}(?:\s(?-i:[A-Z]{2}))?)\s(?-i:[A-ZÀ-Ý][a-zà-ÿ]{2,})(?:[\s-](?-i:[A-ZÀ-Ý][a-zà-ÿ]{2,})){0,2}",
        hits=("1003 Lausanne", "75011 Paris", "8001 Zürich", "1011 AB Amsterdam"),
        misses=("5000 Units", "2024 Report", "1000 Mg", "500 Mg"),
        check=lambda text: not re.search(r"\b(?:unit|mg|mcg|intern|ml|step|cal)", text, re.IGNORECASE),
        digits=True,
    ),
    PatternRule(
        name="country_and_zip",
        entity="ZIP_CODE",
        regex=rf"{_CAP}(?:\s{_CAP}){{0,2}},?\s\d{{4,5}}(?=\s{{0,3}}(?:\n|\Z|\?|;))",
        hits=("Bern\nSwitzerland 30010", "Oslo 0150"),
        misses=("Tylenol 500", "In 2024", "Report 2024"),
        check=lambda text: not is_ordinary(text.split()[0]) and not re.search(r"\b(?:19|20)\d\d\Z", text),
        score=0.4,
        digits=True,
    ),
    PatternRule(
        name="postcode",
        entity="ZIP_CODE",
        regex=r"\b(?-i:[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}|[A-Z]\d[A-Z][\s-]?\d[A-Z]\d|[A-Z]{1,2}\d{1,2}[A-Z]?\d[ABD-HJLNP-UW-Z]{2}"
        r"|GIR\s?0AA)\b|\A[a-z]{1,2}\d[a-z\d]?\s?\d[a-z]{2}\Z",
        hits=("SW1A 1AA", "M5V 2T6", "EC1A1BB"),
        misses=("E11.9", "B12 2 mg", "T4 5MG", "L5 S1"),
        check=lambda text: not text.endswith(("MG", "ML")),
        digits=True,
    ),
    PatternRule(
        name="town_by_cue",
        entity="LOCATION",
        regex=r"\b(?:live[sd]? in|living in|(?:am|is|are|was|he['’]s|she['’]s|i['’]m) from|born in|raised in|gr[eo]w(?:s|ing)? up in"
        r"|resid(?:es?|ing) in|moved (?:here )?(?:to|from|in)|(?:flew|drove|flying"
        r"|travel(?:l?ed|ing)?|moving|relocat(?:ed|ing)|trip|went|back) (?:to|from|in)|cit(?:y|ies) of|town of|village of|county of"
        r"|near|based in|arrived (?:at|in|from)|clinic in|hospital in)"
        rf"\s({_CAP}(?:[\s-](?:(?:de|la|del|upon|on|le|sur|am|an der|of)\s)?{_CAP}){{0,3}})",
        hits=("she lives in Lausanne", "born in Bern", "flew to Oslo", "based in Saint-Denis"),
        misses=("lives in a house", "moved to the left", "I am from here", "born in March", "went to The"),
        group=1,
        parts=leading_name,
        score=0.5,
    ),
    PatternRule(
        name="town_field",
        entity="LOCATION",
        regex=r"(?<![^\W_])(?:city|town|home[\s_]?town|village|municipality|suburb|borough|county|parish"
        r"|birth[\s_]?place|place of birth|wohnort|geburtsort|ville|commune|localité|ciudad)[\"']?\s{0,2}[:=]\s{0,2}[\"'“]?"
        r"([^\W\d_][\w'’.-]{1,30}(?:\s[^\W\d_][\w'’.-]{0,30}){0,3})",
        hits=("City: Providence", '{"city": "reading"}', "birthplace = Medicine Hat", "Wohnort: Essen", "home_town: Half Moon Bay"),
        misses=("city: unknown", '{"city": null}', "the city is loud", "capacity: full", "town hall", "county: n/a"),
        group=1,
        check=lambda text: text.split()[0].lower().rstrip(".") not in _NO_TOWNS,
        score=0.5,
        needs=r"[:=]",
    ),
    PatternRule(
        name="hospital",
        entity="LOCATION",
        regex=rf"(?<![\w-])(?:{_CAP}\s(?:(?:of|de|the|and|&)\s)?){{1,5}}(?-i:{_CARE.replace('hospitals?', 'Hospital').title()})\b"
        rf"|\b(?:st|saint|mount|mt|our lady|sacred heart|holy|good samaritan|mercy|sankt|san"
        rf"|santa)\.?\s[\w'’-]{{2,30}}(?:\s[\w'’-]{{2,30}})?\s{_CARE}\b"
        rf"|\b(?:university|memorial|general|regional|county|veterans|presbyterian|methodist|baptist) {_CARE} (?:of|in) {_CAP}"
        rf"|\b{_CARE} (?:of|de) (?:the )?{_CAP}|\b(?:hôpital|klinik|spital|ospedale) (?:de |du |la |st\.? |san )?{_CAP}",
        hits=("St. Mary's Hospital", "Riverside General Hospital", "Lakeview Medical Center", "st mary's hospital", "Hospital of Lausanne"),
        misses=("the hospital", "a general hospital", "Children's Hospital".lower(), "The Hospital", "urgent care"),
        check=_has_a_name,
        score=0.5,
    ),
)  # fmt: skip
"""Rules for places."""
