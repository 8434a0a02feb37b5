from artcafe.server.gateway.websocket.writer cimport Outboxes
from artcafe.wire.times cimport rfc3339


cdef class Moment:
    cdef object _clock
    cdef Outboxes _outboxes
    cdef bint _known
    cdef readonly double monotonic
    cdef readonly double now
    cdef readonly bytes stamp

    cpdef read(self)
