"""Words that follow a cue or begin with a capital without being anyone's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from phi_guard.detect.harmless import WORDS

ORDINARY: Final = WORDS | frozenset(
    """
    i me mine we us our ours you yours he him she hers it its they them their theirs this that these those who whom whose which what when
    where why how here there then than as so too also very really just only even still again already always never ever often sometimes
    usually maybe perhaps about above across after against along among around before behind below beneath beside between beyond but by
    down during except for from in inside into like near next of off on onto out outside over past since through throughout till to
    toward under until up upon with within without if unless because although though while whereas whether either neither both each
    every all any some such none nothing something anything everything someone anyone everyone nobody somebody other others another
    am is are was were be been being have has had having do does did doing done can could will would shall should may might must
    get gets got getting give gives gave given go goes went gone going come comes came coming take takes took taken taking make makes
    made making know knows knew known think thinks thought say says said tell tells told ask asks asked asking see sees saw seen look
    looks looked looking want wanted wants need needs needed like likes liked try tries tried trying use uses used using feel feels felt
    feeling keep keeps kept let lets put puts help helps helped start starts started stop stops stopped run runs ran turn turned show
    shows showed hear heard call called calling leave left live lives lived living believe bring brought happen happened write wrote
    written sit stand lose lost pay paid meet met include continue set learn change changed lead understand watch follow followed
    stop create speak speaking spoke spoken read spend grow open walk win offer remember consider appear appears appeared buy wait serve
    die died send sent expect build stay fall cut reach kill remain suggest raise pass sell require report decide pull return explain
    hope develop carry break receive agree support hit produce eat cover catch draw choose cause point listen realize place close
    involve increase believe add added worried concerned scared afraid allergic pregnant diabetic married single divorced retired
    sorry sure glad happy sad okay ok yes yeah yep no nope not please thanks thank hello hi hey bye dear good great fine better best
    worse worst bad new old young big small little large long short high low early late able ready available important interested
    located unknown unavailable redacted none null nil na undefined true false empty anonymous withheld deceased confirmed cancelled
    scheduled completed pending urgent emergency normal abnormal positive negative regular routine general local private public
    first second third fourth last other same different own few many much more most less least several enough one two three four five
    six seven eight nine ten eleven twelve twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million dozen half
    today tomorrow yesterday tonight now soon later ago once twice day days week weeks month months year years hour hours minute
    minutes morning afternoon evening night weekend monday tuesday wednesday thursday friday saturday sunday january february march
    april june july august september october november december time times date dates age birthday
    mr mrs ms miss mister missus dr doctor doctors prof professor sir madam maam mom dad mum mother father son daughter wife husband
    brother sister aunt uncle cousin grandma grandpa grandmother grandfather baby child children kid kids boy girl man men woman women
    guy lady people person persons family friend friends neighbor neighbour partner parent parents spouse guardian caregiver
    patient patients caller client clients customer member members user users nurse nurses clinician provider physician surgeon
    therapist pharmacist pharmacy assistant receptionist staff team office clinic hospital center centre department ward room floor
    unit building street road avenue house home school work job company bank state city town country county area place address
    name names named surname nickname number numbers id code phone email mail fax line record records chart file form note notes
    date history status result results test report plan policy insurance card account claim bill payment appointment visit exam
    question questions answer problem problems issue issues reason thing things way part side kind type lot bit end case point fact
    medication medicine medications medicines dose pill tablet tablets pain treatment therapy surgery disease condition diagnosis
    symptom symptoms infection blood heart head chest back stomach pressure sugar level levels vitamin care health medical clinical
    subjective objective assessment exam allergies vitals labs imaging review systems impression discharge admission summary
    english french german spanish italian portuguese chinese japanese korean arabic russian hindi american british european african
    asian indian mexican canadian swiss north south east west northern southern eastern western central upper
    social security national insurance driver drivers license licence passport credit debit medicare medicaid internal revenue service
    street st ave rd blvd zip postal
    the a an and or nor not no her his my your our to at
    mg ml mcg kg cm mm iu bp hr rr bmi ecg ekg mri ct pcr cbc covid flu hiv aids copd adhd tsh ldl hdl icu er ed or iv im po prn bid tid
    qid qd qhs pt pts hx dx rx tx sx fx c/o s/p w/ w/o nka nkda wnl tylenol advil ibuprofen aspirin
    oh um uh ah er hm hmm mm huh uhm eh aw well actually currently honestly basically obviously definitely probably certainly exactly
    absolutely awesome nice cool wow nah sounds whenever wherever whatever whoever however otherwise therefore moreover meanwhile instead
    immediately directly anytime anyway anyways bout almost nearly plenty right alright thanks congratulations sorry excuse
    parkinson parkinson's alzheimer alzheimer's crohn crohn's hodgkin hodgkin's graves hashimoto addison cushing raynaud sjogren
    tourette asperger bell down huntington meniere barrett paget marfan turner kawasaki lyme lou gehrig medigap advantage obamacare
    christmas easter thanksgiving halloween internet google facebook whatsapp zoom android iphone windows
    select from users insert update delete where error exception warning info debug failed failure invalid null none value key string
    request response server client host session token login password username timeout status code message
    """.split()  # noqa: SIM905 - hundreds of quoted words are harder to read and to keep in order
)
"""Function words, the verbs and adjectives of a conversation, kinship and roles, headings of a note, and words of forms and errors.

A word that is also a common given or family name is in it only where it is far more often the word (``may``, ``will``, ``march``).
"""

PARTICLES: Final = frozenset("de van von der den la le bin binti ibn al el del della da di do dos das du ter ten zu zum af av y e".split())  # noqa: SIM905
"""Words inside a name that are written small."""

_WORD: Final = re.compile(r"[^\W\d_][\w'’.-]*")


def is_ordinary(word: str) -> bool:
    """Whether a word, with any possessive ending or full stop, is in `ORDINARY`, or made of such words joined by hyphens."""
    if len(word) == 2 and word[1] == "." and word[0].isupper():
        return False  # an initial
    plain = word.lower().replace("’", "'").rstrip(".'-")
    plain = plain.removesuffix("'s")
    if plain in ORDINARY:
        return True
    head, _, tail = plain.partition("'")
    if tail in {"m", "re", "ve", "ll", "d", "t"} and (head in ORDINARY or tail == "t"):
        return True
    return "-" in plain and all(part in ORDINARY for part in plain.split("-"))


def leading_name(text: str) -> Iterator[tuple[int, int]]:
    """The words at the front of the text up to the first ordinary one, or up to a small one where the name began with a capital.

    Args:
        text: what follows a cue, such as ``ada byron and i cough``.
    """
    start = end = -1
    for word in _WORD.finditer(text):
        if is_ordinary(word.group()) or (start >= 0 and text[start].isupper() and word.group().islower() and word.group() not in PARTICLES):
            break
        start = word.start() if start < 0 else start
        end = word.end()
    if start >= 0:
        trimmed = text[start:end].rstrip(".'’-")
        yield start, start + len(trimmed)


def name_runs(text: str, least: int = 2) -> Iterator[tuple[int, int]]:
    """Runs of at least so many words without an ordinary one; initials come along and do not count.

    Args:
        text: words that begin with capitals, such as ``The Ada Byron Story``.
        least: how many words make a run count.
    """
    run: list[re.Match[str]] = []
    for word in [*_WORD.finditer(text), None]:
        if word is not None and not is_ordinary(word.group()):
            run.append(word)
            continue
        if sum(len(each.group().rstrip(".")) > 1 for each in run) >= least:
            yield run[0].start(), run[0].start() + len(text[run[0].start() : run[-1].end()].rstrip(".'’-"))
        run = []
