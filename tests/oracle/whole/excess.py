"""What is above a cap and will not go by itself: net excess = reading + error - cap - credits."""

from __future__ import annotations

from tests.oracle.whole.base import Circuits, Source
from tests.oracle.whole.draw import BUCKETS_NS, ChargerDraw
from tests.oracle.whole.span import Span


def credit(charger: ChargerDraw, phase: int, source: Source, now_ns: int) -> Span:
    """What of the reading its orders will still take away.

    The highest it drew between the reading's oldest possible instant and its newest report, less
    its present setpoint; over one write gap + settle + lag + poll after the order.
    """
    row = charger.row
    if phase not in row.phases or not charger.orders or not charger.reports:
        return Span(0, 0, "")
    oldest_ns = source.readings[-1].at_ns - source.row.lag_ns
    present = charger.orders[-1]
    lasts_ns = row.write_gap_ns + row.settle_ns + row.lag_ns + row.poll_ns
    slow_ns = lasts_ns + source.row.lag_ns + source.row.poll_ns
    drew = max(0, charger.peak_on(phase, oldest_ns - row.lag_ns - row.poll_ns - BUCKETS_NS, now_ns))
    most = max(0, drew - present.ma)
    age_ns = now_ns - present.at_ns
    if most == 0 or age_ns > slow_ns + BUCKETS_NS:
        return Span(0, 0)
    return Span(0, most, "what was ordered and does not show yet")


def net_excess(circuits: Circuits, circuit: int, phase: int, cap_ma: int, now_ns: int) -> Span:
    """How much must go there at once, beyond what has been ordered."""
    found = [Span(0, 0, "nothing is read there")]
    counting = circuits.counting(circuit, now_ns)
    # Observed: of several sources the kernel takes the highest reading and the largest error, also
    # that of a lost one.
    error_ma = circuits.most_error(circuit)
    for source in counting:
        over_ma = source.readings[-1].current_ma[phase] + source.row.error_ma - cap_ma
        below = [circuits.chargers[i] for i in circuits.below[circuit]]
        credits_ma = sum(credit(charger, phase, source, now_ns).most for charger in below)
        most_ma = over_ma + error_ma - source.row.error_ma
        found.append(Span(over_ma - credits_ma, most_ma, "reading + error - cap - credits"))
    least, most = max(s.least for s in found), max(s.most for s in found)
    return Span(least, most, found[-1].why)
