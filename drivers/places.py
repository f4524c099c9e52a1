"""In which line of a profile something stands, so that who wrote it finds it."""

import re

_HEADER = re.compile(r"[ \t]*(\[\[?)[ \t]*([\w.\-\"]+)[ \t]*\]")
_KEY = re.compile(r"[ \t]*([\w.\-\"]+)[ \t]*=")
_BETWEEN = re.compile(r"[.\[\]]+")

Steps = tuple[str, ...]


class Places:
    """The lines of a TOML file in which its tables and keys begin."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Steps, int] = {}
        section: Steps = ()
        counts: dict[Steps, int] = {}  # of tables in arrays
        for number, line in enumerate(text.splitlines(), 1):
            here: Steps = ()
            if header := _HEADER.match(line):
                section = _steps(header[2])
                if header[1] == "[[":
                    counts[section] = counts.get(section, -1) + 1
                    section = (*section, str(counts[section]))
                here = section
            elif key := _KEY.match(line):
                here = (*section, *_steps(key[1]))
            if here:
                self._lines.setdefault(here, number)

    def line(self, path: str) -> int | None:
        """Where what it names begins, or what it would stand in; None where neither is there.

        Paths look like `registers.current_l1.addr`, `block.0.count` or `block[0]`.
        """
        steps = _steps(path)
        prefixes = (steps[:length] for length in range(len(steps), 0, -1))
        return next((self._lines[each] for each in prefixes if each in self._lines), None)


def _steps(path: str) -> Steps:
    return tuple(step.strip('"') for step in _BETWEEN.split(path) if step.strip('"'))
