from artcafe.server.gateway.websocket.turn_scheduler cimport TurnScheduler
from artcafe.wire.times cimport rfc3339


cdef class TurnClock:
    cdef object _clock
    cdef TurnScheduler _scheduler
    cdef bint _known
    cdef readonly double monotonic
    cdef readonly double now
    cdef readonly bytes stamp

    cpdef read(self)
