from artcafe.server.domain.recent cimport Recent
from artcafe.server.gateway.fanout.subscriber cimport MessageSink, MessageRoute, Topic


cdef class Topics:
    cdef object _tenant
    cdef readonly dict plain
    cdef readonly object groups
    cdef readonly object interest
    cdef readonly object counts
    cdef Py_ssize_t _version
    cdef object _stream_of
    cdef readonly Recent routes

    cpdef MessageRoute route(self, MessageSink sink, Topic group, str bus_subject)
    cpdef update(self, MessageRoute route)
    cpdef tuple subscribers(self, MessageRoute route)
