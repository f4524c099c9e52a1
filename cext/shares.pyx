# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
"""A run of fair shares: exact weighted max-min, strict classes one after the other.

In this order, and nothing that comes later takes anything from what came before:

1. The wishes that go before every class (a minimum on time, a class that has waited) get their
   minima, in the order in which they stand.
2. Then stage after stage, a class each: those of it whose minima still fit get them, in the order
   in which they stand; then all of it that were admitted, the early ones too, grow to their
   floors, max-min fair; then to their maxima, max-min fair (cext.level).

What was handed out before is kept in 2^-24 mA, so that the share of a later class is as exact as
that of the first. A wish with nothing above it that can be full costs nothing (cext.admit).
"""

from cext import check
from cext.rows import NO_PHASE

from libc.stdint cimport int32_t, int64_t

from cext.admit cimport begin_run, let_in, line_up
from cext.filler cimport filler_make, filler_order
from cext.level cimport raise_level
from cext.memory cimport Memory, give_back, take
from cext.types cimport GRID_PHASES, ROWS, SUM, Filler, Wish

cdef enum:
    NO_STAGE = 0x7FFFFFFF

cdef int64_t NO_SUM = 1 << 40  # no sum of currents is as high


cdef int32_t next_stage(
    const Wish* wishes, int32_t early, int32_t start, int32_t count, int32_t last
) noexcept nogil:
    """The lowest stage above the last one that any wish is of."""
    cdef int32_t i, stage = NO_STAGE
    if start < count:
        stage = wishes[start].stage
    for i in range(early):
        if wishes[i].stage > last:
            stage = min(stage, wishes[i].stage)
    return stage


cdef void fill(Filler* filler, Wish* wishes, int32_t count) noexcept nogil:
    """One run under `filler.cap`; answers stand in the wishes. Negative caps are 0.

    Every wish with 0 <= minimum <= maximum < 2^31, 1 <= weight <= 1000, 0 <= floor and
    0 <= stage. Those that are early stand first, then all by stage.
    """
    cdef int32_t i, early = 0, start, end, stage = -1
    cdef bint floors
    begin_run(filler, wishes, count)
    while early < count and wishes[early].early:
        early += 1
    if early:
        let_in(filler, wishes, 0, early)
    start = early
    while True:  # at most once for each stage
        stage = next_stage(wishes, early, start, count, stage)
        if stage == NO_STAGE:
            return
        end = start
        while end < count and wishes[end].stage == stage:
            end += 1
        if end > start:
            let_in(filler, wishes, start, end)
        floors = False
        for i in range(early):
            floors = floors or (wishes[i].stage == stage and wishes[i].floor > 0)
        for i in range(start, end):
            floors = floors or wishes[i].floor > 0
        if floors:
            line_up(filler, wishes, early, start, end, stage, True)
            raise_level(filler, wishes)
        line_up(filler, wishes, early, start, end, stage, False)
        raise_level(filler, wishes)
        start = end


def fair_shares(parents, caps_ma, demands, sums_ma=None):
    shares = ShareRun(parents, caps_ma, demands, sums_ma)
    shares.run()
    return shares.shares_ma()


cdef class ShareRun:
    cdef Memory memory
    cdef Filler filler
    cdef Wish* wishes
    cdef int32_t count
    cdef list order  # which demand each wish is

    def __init__(self, parents, caps_ma, demands, sums_ma=None):
        cdef int32_t i
        if self.wishes != NULL:
            raise ValueError("a run is laid out once")
        check.check_demands(parents, caps_ma, demands, sums_ma)
        self.count = len(demands)
        self.order = sorted(
            range(len(demands)),
            key=lambda i: (not demands[i].early, 0 if demands[i].early else demands[i].class_rank),
        )
        self.wishes = <Wish*>take(&self.memory, self.count, sizeof(Wish))
        filler_make(&self.filler, &self.memory, len(parents), self.count)
        if self.memory.lacking:
            raise MemoryError("fair shares")
        for i in range(self.filler.circuits):
            self.filler.parent[i] = parents[i]
            for phase in range(GRID_PHASES):
                self.filler.cap[i * ROWS + <int32_t>phase] = caps_ma[i][phase]
            self.filler.cap[i * ROWS + SUM] = NO_SUM
            if sums_ma is not None and sums_ma[i] is not None:
                self.filler.cap[i * ROWS + SUM] = sums_ma[i]
        filler_order(&self.filler)
        for i, demand in enumerate(self.order):
            wish_from(&self.wishes[i], demands[demand], sums_ma is not None)

    def __dealloc__(self):
        give_back(&self.memory)

    def run(self):
        with nogil:
            fill(&self.filler, self.wishes, self.count)

    def shares_ma(self):
        cdef int32_t i
        shares = [0] * self.count
        for i, demand in enumerate(self.order):
            shares[demand] = self.wishes[i].share
        return shares


cdef void wish_from(Wish* wish, object demand, bint summed) except *:
    wish.circuit = demand.circuit
    wish.minimum = demand.min_ma
    wish.maximum = demand.max_ma
    wish.weight = demand.weight
    wish.floor = demand.floor_ma
    wish.stage = demand.class_rank
    wish.early = demand.early
    for phase in demand.phases:
        if phase != NO_PHASE:
            wish.wired[<int32_t>phase] = 1
            wish.wired[SUM] += summed
