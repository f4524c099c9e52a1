"""What the link publishes for everybody: the content of `status` and `limits`."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime

from controller.clock import WallClock
from controller.status_report import StatusReport
from controller.units import NS_PER_S
from controller.version import VERSION
from controller.wire import Welcome

OFFLINE: dict[str, object] = {"online": False}
REFUSALS = 32  # sources whose last refusal is remembered


class Bulletin:
    """Remembers what no report of the enforcer's says."""

    def __init__(self, wall: WallClock) -> None:
        self._wall = wall
        self._since: str | None = None
        self._refused: OrderedDict[str, dict[str, object]] = OrderedDict()

    def came_online(self) -> None:
        self._since = self._now()

    def refused(self, source: str, code: str, reason: str) -> None:
        """The last refusal of each source stays in `limits`."""
        self._refused.pop(source, None)
        self._refused[source] = {
            "source": source,
            "code": code,
            "reason": reason,
            "at": self._now(),
        }
        if len(self._refused) > REFUSALS:
            self._refused.popitem(last=False)

    def status(
        self, nonce: str | None, enforcer: Welcome | None, report: StatusReport | None
    ) -> dict[str, object]:
        return {
            "online": True,
            "enforcer": enforcer is not None,
            "nonce": nonce,
            "version": VERSION,
            "boot_id": enforcer and enforcer.boot_id,
            "mode": enforcer and enforcer.mode,
            "revision": enforcer and enforcer.revision,
            "installation_hash": enforcer and enforcer.installation_hash,
            "latched": report and report.latched and report.latched.model_dump(),
            "derogations": report and [each.model_dump() for each in report.derogations],
            "since": self._since,
        }

    def limits(self, report: StatusReport | None) -> dict[str, object]:
        """Without a report nothing is known to hold."""
        return {
            "circuits": [
                {"circuit": each.id, "cap_a": each.cap_a, "bound_by": each.bound_by}
                for each in (report.circuits if report else ())
            ],
            "limits": [each.model_dump() for each in (report.limits if report else ())],
            "refused": list(self._refused.values()),
        }

    def _now(self) -> str | None:
        """UTC, None while the clock is not trusted."""
        if not self._wall.trusted():
            return None
        moment = datetime.fromtimestamp(self._wall.utc_ns() // NS_PER_S, UTC)
        return moment.isoformat().replace("+00:00", "Z")


def news(before: StatusReport | None, now: StatusReport) -> bool:
    """Whether `status` or `limits` says something new, apart from times left."""
    return before is None or _essence(before) != _essence(now)


def _essence(report: StatusReport) -> list[object]:
    return [
        report.latched,
        *((each.id, each.cap_a, each.bound_by) for each in report.circuits),
        *((each.source, each.state, each.limit_a) for each in report.limits),
    ]
