cdef class Meter:
    cdef readonly object clock
    cdef readonly double day_ends
    cdef object _records
    cdef object _sightings
    cdef readonly object _pending
    cdef object _flushing
    cdef readonly object _seen
    cdef object _active
    cdef object _ended
    cdef readonly list _tallies
    cdef object _spoken

    cpdef begin(self, Tally tally, double now)


cdef class Tally:
    cdef readonly object tenant
    cdef readonly str agent
    cdef readonly object channels
    cdef public Py_ssize_t messages
    cdef public Py_ssize_t bytes
    cdef readonly double last
    cdef Meter _meter

    cpdef count(self, Py_ssize_t size, double now)
