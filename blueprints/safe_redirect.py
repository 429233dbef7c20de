"""Where ``next=`` may lead: to a path of this instance, and nowhere else."""

import re
from urllib.parse import unquote

# Where in the session it stands what a visitor wanted before there was an account to have it.
WANTED = "wanted"
# A whitelist: no backslash, no @, no white space or control characters, nothing outside ASCII.
_PLAIN_PATH = re.compile(r"/(?!/)[A-Za-z0-9/_.~%-]*(\?[A-Za-z0-9/_.~%&=+,:;-]*)?")


def safe_path(target: str | None) -> str | None:
    """The target where it is a plain path of this instance, otherwise None."""
    if not target or len(target) > 2000:
        return None
    decoded = target
    for _round in range(3):
        if not _PLAIN_PATH.fullmatch(target) or _is_suspicious(decoded):
            return None
        decoded = unquote(decoded)
    return None if _is_suspicious(decoded) else target


def _is_suspicious(text: str) -> bool:
    path = text.split("?")[0]
    return "//" in path or "\\" in text or "@" in path or any(ord(letter) < 32 for letter in text)
