from artcafe.server.domain.recent cimport Recent
from artcafe.server.gateway.fanout.subscriber cimport Keeper, Line, Topic


cdef class Topics:
    cdef object _tenant
    cdef readonly dict plain
    cdef readonly object groups
    cdef readonly object interest
    cdef readonly object counts
    cdef Py_ssize_t _version
    cdef readonly Recent lines

    cpdef Line line(self, Keeper keeper, Topic group, str bus_subject)
    cpdef update(self, Line line)
    cpdef tuple members(self, Line line)
