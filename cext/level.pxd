from cext.types cimport Filler, Wish

cdef void raise_level(Filler* filler, Wish* wishes) noexcept nogil
