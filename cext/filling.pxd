"""What a fair-share run works on: wishes, and circuits while they are filled."""

from libc.stdint cimport int32_t, int64_t

cdef enum:
    GRID_PHASES = 3
    SUM = 3  # after the phases: what the three carry together
    ROWS = 4  # the phases and their sum

# One wish in a fair-share run, and its answer.
cdef struct Wish:
    int32_t circuit
    int32_t wired[ROWS]  # of the sum: on how many phases; 0 where nothing bounds a sum
    int64_t minimum
    int64_t maximum
    int64_t weight
    int64_t floor  # met before anybody of its stage grows above the own; 0: none
    int32_t stage  # all of a lower one have their shares before
    int32_t early  # its minimum goes before every stage
    int64_t stands  # what it has for certain so far, in 2^-24 mA
    int64_t share
    int32_t bound_circuit  # what stopped it: circuit and phase, or -1 its own maximum
    int32_t bound_phase  # or SUM
    int32_t admitted

# One circuit while the shares are filled, in 2^-24 mA. What cannot be full is left out.
cdef struct Vessel:
    int64_t room[ROWS]  # of its cap, beyond what does not grow now
    int64_t weight[ROWS]  # of what grows
    int32_t above  # the next circuit above that can be full; -1: none
    int32_t row  # the one that is full first
    int32_t stale  # something stopped since that was reckoned: it is full then or later
    int32_t listed  # something began to grow, and it is among `Filler.changed`

# An admitted wish while it may grow: its place is by circuit, every subtree in one piece.
cdef struct Sharer:
    int64_t stands  # what it has before it grows, in 2^-24 mA
    int32_t wish
    int32_t vessel  # the lowest circuit on its path that can be full
    int32_t wired  # one bit for each row
    int32_t phases  # how many of them count in the sum
    int32_t weight
    int32_t maximum  # mA: where it stops growing
    int32_t stage

# When something happens, and to whom.
cdef struct Event:
    int64_t level  # 2^-24 mA for each unit of weight
    int32_t who

cdef struct Filler:
    int32_t circuits
    int32_t room  # wishes it has room for
    int32_t* parent
    int64_t* cap  # mA, by row of each circuit: what a run may hand out
    # where each circuit stands when every subtree is in one piece, and where its subtree ends
    int32_t* spot
    int32_t* end
    # of each run
    int64_t* least  # mA, by row of each circuit: sum of the minima below that are being let in
    int64_t* most  # mA, by row of each circuit: what can ever flow there
    int32_t* lowest  # circuit: the lowest at or above it that can be full; -1: none
    int32_t* tight  # circuit: the lowest at or above it where not all of those fit; -1: none
    int32_t* first  # spot: its first sharer, and one more
    int32_t* growing  # spot: how many sharers there have not stopped
    int32_t sharers
    Vessel* vessel
    Sharer* sharer
    Event* floors  # when each passes what it stands at
    Event* tops  # when each has its maximum
    Event* spare
    Event* full  # a tournament: the first of each pair of circuits, from leaf `leaves` up to 1
    int32_t leaves  # a power of two
    int32_t* changed
    int32_t changed_n
