"""
Findings: fingerprints, counts, redacted examples, and their merging over processes.

Every name is imported here at once, for a module and its main function often share theirs (`fingerprint`, `merge`,
`render`), and a lazy one would be shadowed by its module. None of these modules imports more than attrs.
"""

from __future__ import annotations

from shadowmig.findings.fingerprint import fingerprint, fold, type_name
from shadowmig.findings.merge import lost, merge
from shadowmig.findings.redact import hide_values, keep, mask, secrets
from shadowmig.findings.render import render
from shadowmig.findings.tally import Tally

__all__ = [
    "Tally",
    "fingerprint",
    "fold",
    "hide_values",
    "keep",
    "lost",
    "mask",
    "merge",
    "render",
    "secrets",
    "type_name",
]
