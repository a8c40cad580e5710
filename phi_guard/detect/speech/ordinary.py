"""Words that end a name, or rule one out: grammar, and what patients and practices talk of."""

from __future__ import annotations

from typing import Final

from phi_guard.detect.harmless import WORDS
from phi_guard.detect.speech.lexicon import ABBREVIATIONS, MONTHS, ORDINALS, UNITS

GRAMMAR: Final = frozenset(
    """
    a an the and or but nor so yet if then than because since until till while though although unless whether as of at by for from in into
    on onto to toward towards off out over under up down with within without about above across after against along among around before
    behind below beneath beside besides between beyond during except inside like near outside past per plus through throughout
    i me my mine myself you your yours yourself he him his himself she her hers herself it its itself we us our ours ourselves they them
    their theirs themselves this that these those there here who whom whose which what when where why how all any anybody anyone anything
    both each either every everybody everyone everything few many more most much neither nobody none nothing other others another one ones
    several some somebody someone something such same own else enough less least lot lots bit
    am is are was were be been being isn't aren't wasn't weren't do does did done doing don't doesn't didn't have has had having haven't
    hasn't hadn't can cannot can't will could couldn't may might must shall should shouldn't would wouldn't won't ain't gonna wanna gotta
    i'm i've i'd i'll you're you've you'd you'll he's he'd he'll she's she'd she'll it's it'd it'll we're we've we'd we'll they're they've
    they'd they'll that's that'll there's there're here's who's what's where's when's how's let's name's names y'all
    not no nope yes yeah yep yup ok okay oh ah uh um er hm hmm huh mm uh-huh hi hello hey bye goodbye please thanks thank sorry pardon
    well right alright sure absolutely definitely certainly maybe perhaps probably actually really basically literally honestly exactly
    very too also just only even still again already always never ever often sometimes usually rarely seldom almost quite rather pretty
    now today tonight tomorrow yesterday soon later early earlier late lately recently currently once twice ago yet anymore
    appear appears appeared say says said saying tell tells told ask asks asked asking speak speaks speaking speak talk talks talking
    talked call calls called
    calling know knows knew known knowing think thinks thought thinking guess hope hopes hoping wish want wants wanted wanting need needs
    needed needing get gets got getting gotten give gives gave given giving go goes going went gone come comes came coming take takes took
    taken taking make makes made making see sees saw seen seeing look looks looked looking find finds found feel feels felt feeling try
    tries tried trying let lets keep keeps kept put puts use uses used using work works worked working start starts started starting stop
    stops stopped begin began begun help helps helped helping show shows showed shown turn turns turned run runs ran running move moved
    live lives lived living stay stays stayed leave leaves left bring brings brought happen happens happened seem seems seemed become
    becomes became believe believes remember remembers understand understood mean means meant wonder wondering worry worried check checks
    checked checking wait waiting hold please spell spelled spelling spelt read reads write written listen hear heard hearing
    have't because cause cuz 'cause regarding concerning re
    name surname lastname firstname first last middle maiden full number phone email address date birth patient caller client agent doctor
    dr nurse mister missus mr mrs ms miss madam sir ma'am redacted unknown none null na
    de et le les un une des du au aux je tu il elle nous vous ils elles mon ma mes son sa ses votre notre est suis êtes sommes avec pour
    pas dans sur qui que quoi bonjour merci oui non ne né née à l'appareil appelle
    der das die den dem ein eine einen einem und oder aber ich bin ist sind war habe hat haben mein meine ihr ihre mit für von zu im am
    nicht auch nur noch schon guten tag morgen abend danke bitte ja nein hallo am apparat
    """.split()  # noqa: SIM905
)
"""Ends any name: grammar, auxiliaries and the commonest verbs."""

_ORDINARY: Final = frozenset(
    """
    nah naw uhm umm hmmm mhm doc docs bud buddy however therefore anyways moreover otherwise plus whatsoever coordinator young
    able acting active additional adult afraid afternoon age aged air alive allowed alone alive amazing angry annoying answer anxious
    anybody anyway anywhere apart apartment app appetite appreciate appreciated area arm arms asleep aware away awake awesome awful
    awfully
    baby basic bath bathroom beautiful bed bedroom beer best better big bill billing birthday bleed bleeding blister blood blue bluish
    body
    bone bones bothering bottle bottom box boy boys bread break breakfast breathe bright broken brother brothers brown-ish bruised
    building
    bump bumps burned business busy buy calm cannot car care careful careless carefully case cat center certain chance change changed
    changes chart cheap child childhood children choice class clean clear clearly clinic close closed clothes coffee color come-on
    comfortable
    common company complete completely complicated computer concern concerned concerns confused consent consistent constant constantly
    continue control cool correct cost couch counter couple course crazy crying cup cut cute cousin dad dad's daily damage dangerous dark
    daughter daughters day days dead deal dear decided deep delicious dependent depressed desk diabetic diet difference different
    difficult difficulty dinner directly disability disease dizzy dog door double doubt dream dreadful drink drinking drinks drive driving
    drop drug drugs dry due ear easier easily easy eat eating effect either elderly else embarrassed embarrassing emergency employee empty
    end energy english entire especially evening everyday everywhere everything exactly exam excellent excited exercise exhausted
    exhausting expecting experience explain extra extremely eye eyes face fact factory fair fairly family family's fantastic far fast
    father father's fat fatigued feet female few fever fiance fiancé fiancée fifth file fill final finally fine finish finished fire fit
    fix floor flu follow following food foot forget form former fortunate fortunately forward free frequent frequently fresh friend
    friends front frustrated frustrating full fully fun funny further future gas general generally gentle girl girlfriend boyfriend girls
    glad glasses glad god good gradual gradually grandchild grandchildren granddaughter grandfather grandma grandmother grandpa
    grandparents
    grandson great green-ish gross group grown guy guys hair half happy hard hardly harder health healthy heavy helpful high higher
    history hit home honest horrible hospital hot hour hours house household hungry hurt hurting hurts husband husband's idea ill illness
    imagine immediate immediately important impossible improving incorrect increase increased infected information injured insane inside
    insulin insurance interested interesting issue issues itchy item job judgment juice keeping kid kids kidding killing kind kinda
    kitchen
    lab lady language large laugh lazy leg legs letter level lie life light lightheaded likely limited line link list little lived lives
    local located long-term longer loose lose losing loss lost loud love lovely low lower lucky lump lunch mad mail main maintain major
    male man manager many mark-up married matter mature meal meals mean measure medical medication medications medicine meds meeting
    member
    memory men mental mention message mild mind minor minute minutes missed missing mistake moderate mom mom's moment money month months
    mood morning mostly mother mother's mouth mum mum's muscle music name narrow nasty natural nauseous near nearly neck negative neighbor
    neither nephew nervous new news next nice niece night nobody noise normal normally nose noted notes nowhere numb occasional
    occasionally
    odd off office older oldest okay online open opinion option options orange-ish order ordinary original outside overweight pack package
    pain painful pale paper parent parents part partial partner party patch patience patients pay pending people perfect perfectly period
    permanent person personal pharmacy physical physically pick picture piece pill pills place plan planned play pleasant pleased plenty
    point policy poor positive possible possibly post practice pregnant prepared prescription present pressure previous previously
    pretty-much
    prior privacy private problem problems process productive professional progress proper properly proud public pull purpose push
    question
    questions quick quickly quiet radiating rapid rare rash reaction ready real realize reason reasonable reasons receipt receptionist
    record records recovering red reddish refill related relationship relative relatives relaxed relief relieved remaining report reports
    request respond rest result results retired return review ridiculous rid ring rough round routine sad safe salt scared schedule
    scheduled
    school sciatic second section sedentary sensation sense sensitive separate serious seriously service set severe sexual sexually shaky
    shape sharp shocked short shortness shot shoulder shower sibling siblings sick side sign signs significant significantly silly similar
    simple simply single sister sisters sit sitting situation size skin sleep sleepy slight slightly slow slowly small smell smoke smoker
    smoking social soft sometime somewhat somewhere son son's sons soreness sort sorts sound sounds special specific specifically spell
    spot spots stable standard standing state status steady step stiff stomach stool store story straight strange stress stressed
    stressful
    strong stubborn student stuck stuff stupid sudden suddenly suffering sugar suggest suicidal summer super supper support supposed
    surgeries surgery surprise surprised surprising survey swallow sweet swollen symptom symptoms system table talk tall team technically
    temporary tender tense terrible terribly terrified test tests text thick thin thing things third thirsty throat throbbing tight
    time times tiny tired tiring today's together tone tongue tooth top total totally touch tough town traffic training treatment trip
    tremendous trouble true truly trust truth turn twin twins type typical typically uncle aunt uncomfortable unfortunate unfortunately
    unique unlikely unsure unusual up-to-date update upset urgent urine useful usual vague vaguely vegetarian vision visit voice vomit
    waist walk walking wall warm wash watch water way ways weak wear weather week weekend weekly weeks weight weird welcome wet whatever
    wheelchair whenever wherever white-ish whole wide widow widowed wife wife's willing window winter woman women wonderful word words
    world worried worse worst worth wow wrong yeast year years yellow-ish yesterday's young-er younger youngest yourself
    allergic alert ambulatory anemic arthritic asthmatic asymptomatic available bedridden benign bilateral bipolar blind blurry bloated
    cancer cardiac chronic clammy clumsy congested constipated contagious coughing cramping curious dehydrated deaf delayed diagnosed
    discharged disabled divorced dying fasting feverish fragile hospitalized homeless hypertensive hypothyroid immune immunized inflamed
    intermittent intense irregular irritable irritated itching jobless lethargic malignant nonstop numbness obese overdue paralyzed
    persistent postpartum premature prone sexually sober sore stuffy sweaty tingling tingly underweight unemployed unresponsive vaccinated
    wheezing wheezy
    adderall advil ambien amoxicillin aspirin ativan benadryl codeine gabapentin humira ibuprofen lantus lasix lexapro lipitor lisinopril
    metformin metoprolol morphine motrin nexium norco oxycodone ozempic paxlovid penicillin percocet plavix prednisone prozac synthroid
    tramadol tylenol valium vicodin xanax xarelto zoloft zyrtec acetaminophen albuterol atorvastatin hydrocodone omeprazole warfarin
    eliquis
    sertraline levothyroxine amlodipine simvastatin losartan fentanyl naproxen heparin
    medicare medicaid cigna aetna humana kaiser gmail yahoo hotmail outlook internet facebook google visa mastercard amex discover
    covid flu pneumonia diabetes asthma cholesterol thyroid hypertension migraine migraines anxiety depression arthritis stroke
    monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays christmas easter thanksgiving
    black-ish english spanish french german american mexican chinese indian african asian european caucasian hispanic catholic christian
    jewish muslim italian british canadian irish russian japanese
    agreed agree agreeing anxious aching acting alcoholic allergist anesthesia ankle annual applied appointment assistant attached
    cardiologist case-worker claims coverage dentist dermatologist directions doctor's examination extension guardian imaging interpreter
    neurologist oncologist operator optometrist orthopedist pediatrician pharmacist physician psychiatrist psychologist radiologist
    receptionist representative scheduling specialist surgeon technician therapist therapy transplant urologist voicemail website password
    presents denies endorses exhibits tolerates underwent
    weighs weighed scored measures agrees returns dealt wrote recommend recommends recommended stated mentioned pass minimal overall
    breathes doctors sugars consideration
    familiar nearby broad dormant maternal paternal professor frequency questionnaire artery wood damn multiple
    tested turns passed died drinks smokes suffers eats sleeps walks cries complains hurts lives gets takes says thinks noticed developed
    complained needed wanted fell broke hit lost threw woke ate drank slept kept grew sent paid bought caught fought taught sat stood ran
    drove rode flew cut hurt burned slipped tripped passed vomited coughed fainted picked dropped moved quit became wears
    birthday dinner wedding warranty sedation hospice contract walgreens costco walmart banana quickly slowly
    ich schmerzen kopfschmerzen krank müde malade fatigué fatiguée douleur mal enceinte
    """.split()  # noqa: SIM905
)

NOT_NAMES: Final = (
    GRAMMAR | _ORDINARY | WORDS | UNITS | ABBREVIATIONS | MONTHS - frozenset({"april", "june", "may", "august"}) | ORDINALS
) - (frozenset({"all", "stone", "min", "ned", "pat", "tia", "ira"}))
"""Words that are no name behind a weak cue. Surnames that are also common words (``long``, ``young``, ``black``) stay out."""

_SUFFIXES: Final = (
    "tion",
    "sion",
    "ness",
    "ment",
    "ful",
    "less",
    "able",
    "ible",
    "itis",
    "osis",
    "ology",
    "oma",
    "pathy",
    "ically",
    "ingly",
    "edly",
    "ally",
    "ized",
)
_NAMES_IN_ING: Final = frozenset("sterling golding harding king ming ling jing ding fielding browning wilding fleming".split())  # noqa: SIM905
_NAMES_IN_LY: Final = frozenset("beverly kimberly shelly connolly donnelly connelly kennelly reilly".split())  # noqa: SIM905
_NAMES_IN_ED: Final = frozenset(
    """
    fred alfred mildred winifred wilfred jared ahmed mohamed mohammed muhammed hamed saeed rashed khaled reed
    """.split()  # noqa: SIM905
)


def is_ordinary(word: str) -> bool:
    """Whether a word in lower case is no name behind a weak cue."""
    if word in NOT_NAMES or word.endswith(_SUFFIXES):
        return True
    if len(word) > 4 and word.endswith("ing"):
        return word not in _NAMES_IN_ING
    if len(word) > 5 and word.endswith("ly"):
        return word not in _NAMES_IN_LY
    return len(word) > 4 and word.endswith("ed") and word not in _NAMES_IN_ED
