"""
What looks like a secret: names of fields, and patterns inside text.

Danger: this is a net, not a proof. It errs towards masking, and still a secret under an innocent name passes. Who
must be sure uses `hide_values`, or names the fields with `mask`.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import Final

MASKED: Final = "<masked>"

# A name is secret if it has one of these words ...
_WORDS: Final = frozenset(
    [
        "apikey",
        "auth",
        "authentication",
        "authorization",
        "bearer",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "csrf",
        "cvc",
        "cvv",
        "cvv2",
        "iban",
        "jwt",
        "mfa",
        "otp",
        "pan",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pin",
        "pwd",
        "secret",
        "secrets",
        "session",
        "sessionid",
        "sid",
        "signature",
        "ssn",
        "token",
        "tokens",
        "totp",
        "xsrf",
    ]
)
# ... or these two in a row.
_PAIRS: Final = frozenset(
    tuple(pair.split("_"))
    for pair in [
        "access_key",
        "account_number",
        "api_key",
        "card_number",
        "client_key",
        "credit_card",
        "debit_card",
        "encryption_key",
        "license_key",
        "master_key",
        "pass_word",
        "private_key",
        "routing_number",
        "security_code",
        "shared_key",
        "signing_key",
        "social_security",
        "ssh_key",
        "storage_key",
        "tax_id",
    ]
)
# ... or contains one of these, run together with anything.
_PARTS: Final = [
    "accesskey",
    "accesstoken",
    "apikey",
    "authtoken",
    "cardnumber",
    "clientsecret",
    "creditcard",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secretkey",
    "sessionid",
    "setcookie",
    "socialsecurity",
]
_SPLIT: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")

_NAMES: Final = (
    r"passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|authorization|cookie"
    r"|session[_-]?id|credit[_-]?card|card[_-]?number|cvv|ssn"
)
# Every repeat is bounded or cannot overlap what follows, so that hostile text costs linear time.
_IN_TEXT: Final = (
    (re.compile(r"(?i)\b(bearer)\s{1,8}[\w\-.~+/=:]{3,}"), rf"\1 {MASKED}"),
    # Base64 has more than lower-case letters, "basic information" has not.
    (
        re.compile(r"\b((?i:basic|digest|negotiate))\s{1,8}(?=[a-z]{0,64}[A-Z0-9+/=])[\w\-.~+/=:]{6,}"),
        rf"\1 {MASKED}",
    ),
    # scheme://user:pass@host; the end of the text counts as the @, for error messages are cut anywhere. What looks
    # like a port is none.
    (
        re.compile(
            r"""://(?P<user>[^\s/?\#@:"]{0,256}):(?!\d{1,5}(?:[/?\#\s,;)\]'"]|\Z))(?:[^\s"]{1,1024}@|[^\s"/]{1,1024}\Z)""",
            re.VERBOSE,
        ),
        rf"://\g<user>:{MASKED}@",
    ),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"), MASKED),
    # These headers hold several parts: all of the line is masked.
    (re.compile(r"""(?i)((?:cookie|authorization)["']?\s{0,8}[=:]\s{0,8}["']?)[^\r\n"']+"""), rf"\g<1>{MASKED}"),
    (
        re.compile(
            rf"""
            ((?i:{_NAMES})[\w-]{{0,20}}\\?["']?\s{{0,8}}(?:=>|[=:])\s{{0,8}})
            (?!["']?{MASKED})
            (?:\\?"[^"]{{0,1024}}"?|\\?'[^']{{0,1024}}'?|[^\s,;&"')}}\]]+)
            """,
            re.VERBOSE,
        ),
        rf"\g<1>{MASKED}",
    ),
)
_HINT: Final = re.compile(rf"(?i)bearer|basic|digest|negotiate|://|eyJ|{_NAMES}")


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _SPLIT.findall(name)]
    if not _WORDS.isdisjoint(words) or not _PAIRS.isdisjoint(itertools.pairwise(words)):
        return True
    joined = "".join(words)
    return any(part in joined for part in _PARTS)


def is_secret_name(name: str) -> bool:
    """Tell whether a field of this name is likely to hold a secret: ``api_key``, ``X-Api-Key``, ``apiKey``."""
    return _is_secret(name[:200])


def mask_text(text: str) -> str:
    """
    Mask in text what looks like a credential.

    That is ``Bearer ...`` and its kin, the password of ``scheme://user:pass@host``, JSON web tokens, and
    ``password=...`` or ``"token": "..."`` with any of the usual names.
    """
    # Every pattern needs a character that is no letter, digit or underscore; most keys and many values have none.
    if text.isalnum() or text.isidentifier() or _HINT.search(text) is None:
        return text
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text
