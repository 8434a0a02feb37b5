cimport cython

from artcafe.server.domain.tally cimport Tally
from artcafe.server.domain.rate cimport TokenBucket
from artcafe.server.gateway.fanout.hub cimport TenantHub
from artcafe.server.gateway.fanout.subscriber cimport Subscriber
from artcafe.server.gateway.sessions.turn_clock cimport TurnClock
from artcafe.server.gateway.sessions.publish_template cimport PublishTemplate
from artcafe.wire.frames cimport envelope


cdef class _Route:
    cdef readonly str bus_subject
    cdef readonly Tally tally
    cdef readonly Py_ssize_t max_bytes


cdef class AgentSession:
    cdef object __weakref__
    cdef public object principal
    cdef public TenantHub hub
    cdef public Subscriber subscriber
    cdef public tuple subscribers
    cdef readonly object limits
    cdef readonly object _client
    cdef readonly object _rights
    cdef readonly dict _routes
    cdef object _link
    cdef object _publish_there
    cdef object _dialect
    cdef object _read
    cdef readonly TurnClock _turn_clock
    cdef object _new_message_id
    cdef object _tally
    cdef object _start
    cdef PublishTemplate _template
    cdef str _subject
    cdef TokenBucket _bucket
    cdef TokenBucket _patience

    @cython.locals(known=PublishTemplate, data=bytes)
    cpdef take(self, bytes message)
    cpdef _again(self, str subject, bytes data)
    cpdef _one(self, frame)
    @cython.locals(turn_clock=TurnClock, wait=double, route=_Route, size=Py_ssize_t, message_id=str, payload=bytes)
    cpdef _publish(self, str subject, data, frame_id, headers, reply_to)
    cpdef _Route _route(self, str text)
