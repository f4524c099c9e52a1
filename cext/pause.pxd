"""Who may be paused, and who is last."""

from libc.stdint cimport int32_t, int64_t

from cext.types cimport PAUSE_NEVER, PAUSE_REPLUG, Charger

# Whose minimum goes before every class.
cdef enum:
    ALWAYS = 0  # it is never commanded to 0
    PLUGGED = 1  # it charges, and once paused it stays so until somebody plugs it in anew
    OTHERS = 2


cdef inline int32_t least_order(const Charger* charger) noexcept nogil:
    """What an order is never lowered below: 0, or the minimum of one that may not be paused."""
    if charger.may_pause == PAUSE_NEVER and charger.order >= charger.minimum:
        return charger.minimum
    return 0


cdef inline bint at_least_order(const Charger* charger) noexcept nogil:
    """Nothing is left that it may be told to give."""
    return charger.order <= least_order(charger)


cdef inline int32_t pause_rank(const Charger* charger) noexcept nogil:
    """Whose minimum goes first where not all fit."""
    if charger.may_pause == PAUSE_NEVER:
        return ALWAYS
    if charger.may_pause == PAUSE_REPLUG and charger.order >= charger.minimum and not charger.idle:
        return PLUGGED
    return OTHERS
