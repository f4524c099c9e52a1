"""Address and id patterns of a row: {n}, {n+20}, {n:02} and {n+20:02}."""

import re

_COUNTER = re.compile(r"\{n(?:\+(\d{1,4}))?(?::0([1-4]))?\}")


def is_pattern(text: str) -> bool:
    """Whether it counts anything."""
    return _COUNTER.search(text) is not None


def expand(text: str, n: int) -> str:
    """The text of a row's `n`-th member. Raises ValueError for any other use of braces."""
    expanded = _COUNTER.sub(lambda m: f"{n + int(m[1] or 0):0{m[2] or 1}}", text)
    if "{" in expanded or "}" in expanded:
        raise ValueError("in braces only {n}, {n+20}, {n:02} or {n+20:02} can stand")
    return expanded
