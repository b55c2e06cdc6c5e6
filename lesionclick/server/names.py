"""Names: ids that the server makes, and names from outside as they stand in sentences."""

import re
import secrets


def new_id() -> str:
    """A name that nobody can guess: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def quoted(text: str) -> str:
    """A name from outside, cut to a length that fits a sentence."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def file_name(case: str, rest: str) -> str:
    """The name of a download: that of its case, as far as file systems take it everywhere, and `rest`."""
    kept = re.sub(r"[^A-Za-z0-9.-]+", "_", case).strip("._")[:60]
    return f"{kept or 'case'}-{rest}"
