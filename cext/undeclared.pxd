from libc.stdint cimport int32_t, int64_t

from cext.types cimport Circuit, Source, World

cdef void note_lasting(World* world) noexcept nogil
cdef void note_undeclared(World* world) noexcept nogil
cdef void judge_readings(World* world) noexcept nogil
cdef void doubt(Source* source) noexcept nogil
cdef void believe_worst(World* world, Circuit* circuit, const int32_t* worst) noexcept nogil
