"""Who may be paused because he draws nothing, checked from the outside of a controller."""

from tests.oracle.beliefs import Report
from tests.oracle.site import YES, Charger, S

NOTHING_MA = 500
MINUTE = 60 * S


class Parking:
    """What each charger's reports said for the last minute."""

    def __init__(self) -> None:
        self._nothing_since: dict[int, int] = {}  # plugged and without current, report by report

    def report(self, charger: int, report: Report) -> None:
        amps = report.current_ma
        nothing = amps is not None and max(amps) < NOTHING_MA
        if nothing and report.vehicle in ("B", "C", "D"):
            self._nothing_since.setdefault(charger, report.at_ns)
        else:
            self._nothing_since.pop(charger, None)

    def wrong(self, charger: int, row: Charger, now_ns: int) -> str:
        """What speaks against pausing it for others, because it draws nothing; empty: nothing."""
        if row.may_pause != YES:
            return f"charger {charger}: paused for others, and it may not be"
        since = self._nothing_since.get(charger)
        if since is None or now_ns - since < MINUTE:
            return f"charger {charger}: paused as one that draws nothing, and it drew lately"
        return ""
