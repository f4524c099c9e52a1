# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""What Python hands in is checked here, once; what it gets back is made here."""

from cext.check import MOST_MA, MOST_NS, MOST_WEIGHT
from cext.rows import Advice, Rule, Together
from cext.rows import Why as WhyRow

from libc.stdint cimport int32_t, int64_t

from cext.breaker cimport Breaker, full_image
from cext.types cimport GRID_PHASES, SUM, Charger, Circuit, Why


RULES = tuple(Rule)
MOST_IMAGE = 64 * 64 * 2**32  # what the largest current comes to


cdef object whole(str name, value, least, most):
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: {value!r} is not a whole number")
    if not least <= value <= most:
        raise ValueError(f"{name}: {value} is not within {least} and {most}")
    return value


cdef object instant(str name, value):
    return whole(name, value, 0, MOST_NS)


cdef object index(str name, value, int32_t count):
    if not isinstance(value, int) or not 0 <= value < count:
        raise IndexError(f"there is no {name} {value!r}, only {count}")
    return value


cdef object index_map(str name, value, int32_t count, int32_t old_count):
    """A dict of new to old indexes, each old one at most once."""
    pairs = {index(name, i, count): index(f"old {name}", was, old_count) for i, was in value.items()}
    if len(set(pairs.values())) != len(pairs):
        raise ValueError(f"two {name}s cannot both take over from one")
    return pairs


cdef int amps(str name, value, least, int32_t* to) except -1:
    if len(value) != GRID_PHASES:
        raise ValueError(f"{name}: {value!r} is not one value per phase")
    for phase in range(GRID_PHASES):
        to[<int32_t>phase] = whole(name, value[phase], least, MOST_MA)
    return 0


cdef object three(const int32_t* value):
    return (value[0], value[1], value[2])


cdef object three64(const int64_t* value):
    return (value[0], value[1], value[2])


cdef object together(const Circuit* circuit):
    """What the three phases carry together; None where that is not bounded."""
    if not circuit.summed:
        return None
    return Together(
        circuit.cap[SUM], circuit.reading[SUM] if circuit.fresh else None, circuit.base_hi[SUM],
        circuit.draw_hi[SUM], circuit.excess[SUM],
    )


cdef object why_row(const Why* why):
    return WhyRow(RULES[why.rule], why.circuit, why.phase, why.slot)


cdef int64_t advised(str name, value, int32_t* to) except -1:
    """Weight, floor and cap as cext.advice has them, and the instant at which they end."""
    to[0] = 0
    to[1] = to[2] = -1
    if value.weight is not None:
        to[0] = whole(f"{name} weight", value.weight, 1, MOST_WEIGHT)
    if value.floor_ma is not None:
        to[1] = whole(f"{name} floor_ma", value.floor_ma, 0, MOST_MA)
    if value.cap_ma is not None:
        to[2] = whole(f"{name} cap_ma", value.cap_ma, 0, MOST_MA)
    return whole(f"{name} until_ns", value.until_ns, 0, 2**63 - 1)


cdef object advice_row(const Charger* charger):
    return Advice(
        charger.advice_weight or None,
        None if charger.advice_floor < 0 else charger.advice_floor,
        None if charger.advice_cap < 0 else charger.advice_cap,
        charger.advice_until,
    )


# --- thermal images ---------------------------------------------------------------------


cdef int parts(str name, value, most, int64_t* to) except -1:
    if len(value) != GRID_PHASES:
        raise ValueError(f"{name}: {value!r} is not one value per phase")
    for phase in range(GRID_PHASES):
        to[<int32_t>phase] = whole(name, value[phase], 0, most)
    return 0


cdef int read_heat(heat, Breaker* to) except -1:
    """A rows.Heat, checked."""
    to.at = instant("at_ns", heat.at_ns)
    parts("image", heat.image, MOST_IMAGE, to.image)
    parts("worn", heat.worn, full_image(), to.worn)
    amps("current_ma", heat.current_ma, 0, to.before)
    return 0
