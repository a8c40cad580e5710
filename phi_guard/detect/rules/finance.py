"""Cards, bank accounts and wallets."""

from __future__ import annotations

from typing import Final

from phi_guard.detect.checksums import aba, iban, luhn
from phi_guard.detect.rule import PatternRule

_BRAND: Final = r"visa|master\s?card|maestro|amex|american express|discover card|diners(?: club)?|jcb|unionpay|carte bleue|postfinance"

RULES: Final = (
    PatternRule(
        name="iban",
        entity="IBAN_CODE",
        regex=r"(?<!\w)[a-z]{2}\d{2}(?:[\s-]?[a-z0-9]{4}){2,7}(?:[\s-]?[a-z0-9]{1,4})?(?!\w)",
        hits=("CH93 0076 2011 6238 5295 7", "de89370400440532013000", "pay GB29 NWBK 6016 1331 9268 19 today",
              "FR14 2004 1010 0505 0001 3M02 606"),
        misses=("CH93 0076 2011 6238 5295 8", "at 10 this morning with food", "mg12 take with some more food"),
        check=iban,
        score=1.0,
        digits=True,
    ),
    PatternRule(
        name="card_number",
        entity="CREDIT_CARD",
        regex=r"(?<!\d)[2-6]\d{3}(?:[\s.\-_]?\d){8,15}(?!\d)",
        hits=("4111 1111 1111 1111", "378282246310005", "5555-5555-5555-4444"),
        misses=("4111 1111 1111 1112", "400 mg"),
        check=luhn,
        score=0.97,
        digits=True,
    ),
    PatternRule(
        name="card_brand",
        entity="CREDIT_CARD",
        regex=rf"\b(?:{_BRAND})\b(?=\W{{0,3}}(?:card|credit|debit|number|ending|account|[\d*x]{{2}}))"
        rf"|(?:(?<=my\s)|(?<=the\s)|(?<=with\s)|(?<=by\s)|(?<=type\s)|(?<=type:\s))(?:{_BRAND})\b(?!\s(?:appl|interview|office))"
        rf"|\A(?:{_BRAND})\Z|\bdiscover card\b",
        hits=("visa ending in 4412", "pay with visa", "amex card", "visa", "it is a discover card"),
        misses=("visa application", "travel visa", "jcb digger"),
        score=0.2,
    ),
    PatternRule(
        name="routing",
        entity="ABA_ROUTING_NUMBER",
        regex=r"(?<!\d)[0-3678]\d{3}[\s-]?\d{4}[\s-]?\d(?!\d)",
        hits=("021000021", "routing 0210-0002-1"),
        misses=("021000022", "120/80"),
        check=aba,
        score=0.6,
        digits=True,
    ),
    PatternRule(
        name="account_cue",
        entity="ACCOUNT",
        regex=r"(?<![^\W_])(?:routing|aba|sort[\s_]code|swift|bic|bank(?:ing)?|checking|savings|credit|debit|card|cvv|cvc|check|cheque"
        r"|payment|wallet"
        rf"|konto|blz|rib|deposit|{_BRAND})(?:[\s_-]{{1,2}}(?:id|no|num|number|nr|code|account|acct|card|is|was|ending|in"
        rf"|with)\b\.?){{0,5}}[\s_:#=.,\-(\"'*]{{0,6}}"
        r"((?=[a-z0-9\-*]{0,24}\d)[a-z0-9*][a-z0-9\-*]{2,33}(?:\s\d[\d\-]{0,12}(?![\w/:.%])){0,5})(?![\w.,/%]*\d|\s?(?:mg|ml|units?"
        r"|days?|weeks?|times)\b)",
        hits=("routing number 4412-90", "sort code 20-00-00", "cvv 441", "swift DEUTDEFF500", "card number 4412"),
        misses=("check 3 times", "card in 5 days", "deposit of 2 ml", "credit for 3 weeks", "check at 14:30"),
        check=lambda text: sum(char.isdecimal() for char in text) >= 3,
        group=1,
        digits=True,
    ),
    PatternRule(
        name="swift",
        entity="ACCOUNT",
        regex=r"\b(?:swift|bic)(?:/bic)?(?:\s(?:code|is))*?[\s:#=\"']{1,4}([a-z]{6}[a-z\d]{2}(?:[a-z\d]{3})?)\b",
        hits=("SWIFT: DEUTDEFF", "BIC code is UNCRBITM"),
        misses=("swift recovery", "swift and safe"),
        check=lambda text: text.isupper() or any(char.isdecimal() for char in text),
        group=1,
        score=0.6,
    ),
    PatternRule(
        name="wallet",
        entity="CRYPTO",
        regex=r"(?<![^\W_])(?:bc1[a-z0-9]{25,59}|[13][a-hj-np-z1-9]{25,34}|0x[0-9a-f]{40}|[48][0-9ab][1-9a-hj-np-z]{93})(?![^\W_])",
        hits=("bc1q" + "9zk4x7" * 6, "0x" + "5aaeb605" * 5),
        misses=("bc1", "0x12"),
        score=0.9,
    ),
)  # fmt: skip
"""Rules for money."""
