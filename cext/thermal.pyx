# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""The thermal image of what protects a circuit, per phase: how warm it is, and when it may trip.

Two bounds, and the lesser counts (controller/curves.py has the figures). The *image* follows
(I / pickup)² with the device's time constant, and 1 is a trip. *Worn* is the part of its fastest
curve, from cold, that has been used up: while the current is above the pickup it grows by dt / t(I),
below it shrinks like the image.

Fixed point: image and worn are in 2^-32, so 1 is FULL; shares of a change are in 2^-30. All rounding
and every approximation is towards a trip: 1 - e^-a is taken as a - a²/2 + a³/6 on the way up and as
a - a²/2 on the way down, which bound it for a <= 1 (a is dt over the time constant). No intermediate
leaves 63 bits: tests/test_thermal.py computes each at its largest.

The current is the largest magnitude that any source which counts has shown since a reading's oldest
instant, plus its error; of a blind circuit, the upper end of its base load plus all that its chargers
may draw. A reading shows a rise as late as its lag and its poll, so as much is taken off the time
that is left; and as it is held for as long after a fall, no pulse that was seen counts for less than
it lasted.
"""

from libc.stdint cimport int32_t, int64_t

from cext.breaker cimport Breaker, full_image, no_trip
from cext.ring cimport ring_span
from cext.types cimport (
    GRID_PHASES,
    Circuit,
    Source,
    World,
)

cdef enum:
    MOST_TIMES = 64 << 16  # of the pickup, in 2^-16: more is no other story
    ONE = 1 << 30
    LN_2 = 744_261_117  # in 2^-30, rounded down

cdef int64_t FULL = full_image()
cdef int64_t NO_TRIP = no_trip()
cdef int64_t MOST_MA = 0x7FFFFFFF
cdef int64_t SECONDS = 1 << 30  # a little more than one


cdef void count_heat(World* world) noexcept nogil:
    """A step of every image up to now."""
    cdef int32_t i
    count_currents(world)
    for i in range(world.circuits_n):
        if world.breakers[i].known:
            step(world, &world.circuits[i], &world.breakers[i])


cdef void fill_up(Breaker* breaker) noexcept nogil:
    """Nobody knows what it has carried: as warm as it can be without having tripped."""
    cdef int32_t phase
    for phase in range(GRID_PHASES):
        breaker.image[phase] = FULL
        breaker.worn[phase] = FULL


cdef void take_heat(Breaker* breaker, const Breaker* was) noexcept nogil:
    """So warm it was then, and so much flowed."""
    cdef int32_t phase
    breaker.at = was.at
    for phase in range(GRID_PHASES):
        breaker.image[phase] = min(was.image[phase], FULL)
        breaker.worn[phase] = was.worn[phase]
        breaker.before[phase] = was.before[phase]


# --- what flows -------------------------------------------------------------------------


cdef inline int64_t magnitude(int64_t ma) noexcept nogil:
    return ma if ma >= 0 else -ma


cdef void count_currents(World* world) noexcept nogil:
    cdef int32_t i, phase
    cdef int32_t lo[GRID_PHASES]
    cdef int32_t hi[GRID_PHASES]
    cdef int64_t most
    cdef Breaker* breaker
    cdef Source* source
    for i in range(world.circuits_n):
        breaker = &world.breakers[i]
        if breaker.known:
            for phase in range(GRID_PHASES):
                breaker.current[phase] = blind(&world.circuits[i], phase)
    for i in range(world.sources_n):  # the first that counts replaces what a blind one would have
        source = &world.sources[i]
        if source.counts and world.breakers[source.circuit].known:
            for phase in range(GRID_PHASES):
                world.breakers[source.circuit].current[phase] = 0
    for i in range(world.sources_n):
        source = &world.sources[i]
        breaker = &world.breakers[source.circuit]
        if not source.counts or not breaker.known:
            continue
        ring_span(&source.ring, world.now - source.lag - source.poll, lo, hi)
        for phase in range(GRID_PHASES):
            most = max(magnitude(lo[phase]), magnitude(hi[phase])) + source.error
            breaker.current[phase] = max(breaker.current[phase], <int32_t>min(most, MOST_MA))


cdef int32_t blind(const Circuit* circuit, int32_t phase) noexcept nogil:
    """The most that may flow where nothing is read."""
    cdef int64_t most = max(0, circuit.base_hi[phase])
    return <int32_t>min(most + circuit.draw_hi[phase], MOST_MA)


# --- a step -----------------------------------------------------------------------------


cdef void step(World* world, const Circuit* circuit, Breaker* breaker) noexcept nogil:
    """Since the last step what flowed then flowed on, or what flows now did already.

    Where nothing was decided for longer than orders live, by this process or since the one before,
    nobody knows what flowed: then the worst that can counts, too. Of an instant that is yet to come
    nobody knows anything.
    """
    cdef int32_t phase
    cdef int64_t dt = since(breaker, world.now)
    cdef int64_t current, goal, trips
    cdef int64_t hot = share_heated(breaker, dt)
    cdef int64_t cool = share_cooled(breaker, dt)
    breaker.trips = NO_TRIP
    for phase in range(GRID_PHASES):
        current = max(breaker.before[phase], breaker.current[phase])
        if dt >= world.pace.dead_man:
            current = max(
                current,
                min(<int64_t>circuit.worst[phase] + circuit.draw_hi[phase], MOST_MA),
            )
        goal = square(current, breaker.pickup)
        if goal >= breaker.image[phase]:
            breaker.image[phase] = heated(breaker.image[phase], goal, hot)
        else:
            breaker.image[phase] = cooled(breaker.image[phase], goal, cool)
        if current > breaker.pickup:
            breaker.worn[phase] = more_worn(breaker.worn[phase], dt, lasts(breaker, current))
        else:
            breaker.worn[phase] = cooled(breaker.worn[phase], 0, cool)
        breaker.before[phase] = breaker.current[phase]
        trips = trips_after(breaker, phase)
        if trips != NO_TRIP:
            if circuit.fresh:
                trips = max(0, trips - circuit.credit_ns)
            breaker.trips = min(breaker.trips, trips)


cdef int64_t since(Breaker* breaker, int64_t now) noexcept nogil:
    """How long ago the last step was, which is now."""
    cdef int64_t dt = now - breaker.at if breaker.at >= 0 else 0
    breaker.at = now
    if dt < 0:
        fill_up(breaker)
        return 0
    return dt


cdef int64_t trips_after(const Breaker* breaker, int32_t phase) noexcept nogil:
    """From now, with the current that flows; NO_TRIP at and below the pickup."""
    cdef int64_t current = breaker.current[phase]
    cdef int64_t left
    if current <= breaker.pickup:
        return NO_TRIP
    left = image_left(breaker, breaker.image[phase], square(current, breaker.pickup))
    return min(left, worn_left(breaker.worn[phase], lasts(breaker, current)))


cdef int64_t lasts(const Breaker* breaker, int64_t current) noexcept nogil:
    """From cold, by the steps; NO_TRIP where the image alone says, 0 beyond the last."""
    cdef int32_t i
    for i in range(breaker.steps):
        if current <= breaker.step_ma[i]:
            return breaker.step_ns[i]
    return 0


# --- fixed point ------------------------------------------------------------------------


cdef int64_t square(int64_t current, int64_t pickup) noexcept nogil:
    """(current / pickup)² in 2^-32, rounded up; the pickup is at least 1 mA."""
    cdef int64_t times = ((current << 16) + pickup - 1) // pickup
    times = min(times, <int64_t>MOST_TIMES)
    return times * times


cdef int64_t share_heated(const Breaker* breaker, int64_t dt) noexcept nogil:
    """1 - e^(-dt / tau) in 2^-30, no less than it is."""
    cdef int64_t a, a2
    if dt >= breaker.tau:
        return ONE
    a = (dt * breaker.heats >> 32) + 1
    a2 = a * a >> 30
    return min(a - (a2 >> 1) + ((a2 + 1) * a >> 30) // 6 + 1, <int64_t>ONE)


cdef int64_t share_cooled(const Breaker* breaker, int64_t dt) noexcept nogil:
    """1 - e^(-dt / tau) in 2^-30, no more than it is."""
    cdef int64_t a
    if dt >= breaker.tau:
        return ONE // 2
    a = dt * breaker.cools >> 32
    return max(a - (a * a >> 31) - 1, 0)


cdef int64_t heated(int64_t image, int64_t goal, int64_t share) noexcept nogil:
    """No warmer than 1: whatever it was believed to carry, it has not tripped."""
    goal = min(goal, image + (((goal - image + 4095) >> 12) * share >> 18) + 1)
    return max(image, min(goal, FULL))


cdef int64_t cooled(int64_t image, int64_t goal, int64_t share) noexcept nogil:
    return image - (((image - goal) >> 12) * share >> 18)


cdef int64_t more_worn(int64_t worn, int64_t dt, int64_t lasts) noexcept nogil:
    """After so long at a current that it carries for so long from cold."""
    if lasts == NO_TRIP:
        return worn
    if dt >= lasts:
        return FULL
    if dt < SECONDS:
        return min(FULL, worn + ((dt << 32) + lasts - 1) // lasts)
    return min(FULL, worn + (((dt << 20) // lasts + 1) << 12))


cdef int64_t image_left(const Breaker* breaker, int64_t image, int64_t goal) noexcept nogil:
    """tau · ln((goal - image) / (goal - 1)), no more than it is; the goal is above 1."""
    cdef int64_t y
    if image >= FULL:
        return 0
    y = ((goal - image) << 18) // (goal - FULL)
    return (breaker.tau >> 10) * (logarithm(y) >> 5) >> 15


cdef int64_t logarithm(int64_t y) noexcept nogil:
    """ln of y, which is in 2^-18 and at least 1, in 2^-30 and no more than it is.

    ln(f 2^n) = n ln 2 + 2 (s + s³/3 + …) with s = (f - 1) / (f + 1); two terms are less than all.
    """
    cdef int64_t whole = 0, s
    while y >= (2 << 18):
        y = y >> 1
        whole += LN_2
    s = ((y - (1 << 18)) << 30) // (y + (1 << 18))
    return whole + 2 * (s + ((s * s >> 30) * s >> 30) // 3)


cdef int64_t worn_left(int64_t worn, int64_t lasts) noexcept nogil:
    """What is left of that time from cold."""
    if lasts == NO_TRIP:
        return NO_TRIP
    return ((FULL - worn) >> 2) * (lasts >> 10) >> 20
