"""The clocks that run from the discovery of a leak: what the law asks by when, and how long is left. Not legal advice. Pure.

Days are calendar days of the incident's time zone: sixty days are over when the sixtieth day after the day of discovery ends there, however
long its days were. Hours are hours that pass, so that a change of the clock moves the time on the wall and not the hours. Regulation (EEC)
1182/71 would begin a period in hours with the next full hour; the stricter reading, from the moment itself, is taken here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

MANY: Final = 500
"""45 CFR 164.408: 500 or more go to HHS with the individuals; 164.406: more than 500 of a state, to the media."""
DAYS: Final = timedelta(days=60)
HOURS: Final = timedelta(hours=72)
SOON: Final = "without delay"
NOT_SO_MANY: Final = "not so many people"

ADVICE: Final = "Not legal advice: which of these apply, and from when, is for your counsel. The earliest reading is taken."
RETENTION: Final = (
    "Keep this record, the report, the receipts and every notice for 6 years (45 CFR 164.316(b)(2)(i), 164.530(j)); "
    "the controller's record of a breach for the authority (GDPR Art. 33(5)); 2 years from the notice at least (Swiss DPO Art. 15)."
)


@dataclass(frozen=True, slots=True)
class Clock:
    """One duty.

    Args:
        name: of the duty.
        law: where it stands.
        to: who is told.
        asks: what is asked, in words.
        due: the moment from which it is late; None where the law names no time.
        last_day: the last day on which it is in time, where the law counts days.
        applies: False where it does not, by the number of people as it is known.
    """

    name: str
    law: str
    to: str
    asks: str
    due: datetime | None = None
    last_day: date | None = None
    applies: bool = True

    def late(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.due is not None and now >= self.due

    def left(self, now: datetime) -> timedelta | None:
        """How long is left, negative once it is late; None where the law names no time."""
        return None if self.due is None else self.due - now.astimezone(UTC)

    def tell(self, now: datetime) -> str:
        """How long is left, in words."""
        return told(self.left(now)) if self.applies else NOT_SO_MANY


def clocks(discovered: datetime, zone: ZoneInfo, people: tuple[int, int]) -> tuple[Clock, ...]:
    """Every clock that runs from a discovery.

    Args:
        discovered: when the first member of the workforce knew, or would have known with reasonable diligence; with a time zone.
        zone: whose days count.
        people: at least and at most so many people are affected. Where the two lie on both sides of a limit the earlier clock is given.
    """
    day = discovered.astimezone(zone).date()
    sixty = day + DAYS
    year_end = date(day.year, 12, 31) + DAYS
    _, most = people
    hhs, hhs_why = (sixty, f"with the individuals, since it may be {MANY} people or more") if most >= MANY else (
        year_end, f"fewer than {MANY} people: within 60 days of the end of the year of discovery")  # fmt: skip
    media = f"only if more than {MANY} residents of one state are affected"
    media += "; that can be here" if most > MANY else f"; at most {most} people are"
    hours = discovered.astimezone(UTC) + HOURS
    return (
        _days("HIPAA: individuals", "45 CFR 164.404", "each person", "without unreasonable delay, at most 60 calendar days", sixty, zone),
        _days("HIPAA: HHS", "45 CFR 164.408", "the Secretary of HHS", hhs_why, hhs, zone),
        _days("HIPAA: media", "45 CFR 164.406", "prominent media outlets", media, sixty, zone) if most > MANY else Clock(
            "HIPAA: media", "45 CFR 164.406", "prominent media outlets", media, applies=False),
        _days("HIPAA: covered entity", "45 CFR 164.410", "the covered entity, if you are its business associate",
              "without unreasonable delay, 60 calendar days at most; your contract may say sooner", sixty, zone),
        Clock("GDPR: authority", "GDPR Art. 33(1)", "the supervisory authority (in France the CNIL, online)",
              "72 hours from becoming aware, unless a risk is unlikely; later only with reasons", hours),
        Clock("GDPR: controller", "GDPR Art. 33(2)", "the controller, if you are its processor", "without undue delay"),
        Clock("GDPR: data subjects", "GDPR Art. 34", "each person", "without undue delay, where the risk to them is likely high"),
        Clock("Swiss nFADP", "nFADP Art. 24, DPO Art. 15", "the FDPIC; the persons too, where they need it to protect themselves",
              "as quickly as possible, where the risk is likely high"),
        Clock("France: health data hosting", "CSP L.1111-8 and L.1111-8-2", "the client of the hosting; the health agencies (ARS, ANS)",
              "without delay; identifiable health data may only lie with a certified host (HDS): see whether this place is one"),
    )  # fmt: skip


def _days(name: str, law: str, to: str, asks: str, last: date, zone: ZoneInfo) -> Clock:
    midnight = datetime.combine(last + timedelta(days=1), time(), tzinfo=zone)
    return Clock(name, law, to, asks, midnight.astimezone(UTC), last)


def told(left: timedelta | None) -> str:
    """How long is left, in words, rounded down so that it never promises more than there is."""
    if left is None:
        return SOON
    return f"LATE by {length(-left)}" if left <= timedelta() else f"{length(left)} left"


def length(span: timedelta) -> str:
    """A span in days and hours, or in hours and minutes, rounded down."""
    minutes = int(span / timedelta(minutes=1))
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"
