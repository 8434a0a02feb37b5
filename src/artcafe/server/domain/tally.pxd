cdef class Tallies:
    cdef readonly double day_ends
    cdef object _add_up
    cdef list _waiting

    cpdef begin(self, Tally tally, double now)


cdef class Tally:
    cdef readonly object tenant
    cdef readonly str agent
    cdef readonly object channels
    cdef public Py_ssize_t messages
    cdef public Py_ssize_t bytes
    cdef readonly double last
    cdef Tallies _tallies

    cpdef count(self, Py_ssize_t size, double now)
