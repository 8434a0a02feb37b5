cdef class TokenBucket:
    cdef readonly double burst
    cdef readonly double rate
    cdef double _at
    cdef readonly double tokens

    cpdef double spend(self, double now)
    cpdef give_back(self)
