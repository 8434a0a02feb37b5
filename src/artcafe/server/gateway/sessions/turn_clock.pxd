from artcafe.server.core.publishing.publisher cimport MessageClock
from artcafe.server.gateway.websocket.turn_scheduler cimport TurnScheduler


cdef class TurnClock(MessageClock):
    cdef TurnScheduler _scheduler
    cdef bint _known

    cpdef read(self)
