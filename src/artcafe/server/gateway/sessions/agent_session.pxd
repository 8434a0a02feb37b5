cimport cython

from artcafe.server.core.usage cimport Tally
from artcafe.server.domain.rate cimport TokenBucket
from artcafe.server.gateway.fanout.hub cimport TenantHub
from artcafe.server.gateway.fanout.subscriber cimport Member
from artcafe.server.gateway.sessions.turn_clock cimport Moment
from artcafe.server.gateway.sessions.publish_template cimport Template
from artcafe.wire.frames cimport envelope


cdef class _Route:
    cdef readonly str bus_subject
    cdef readonly Tally tally
    cdef readonly Py_ssize_t max_bytes


cdef class Session:
    cdef object __weakref__
    cdef public object principal
    cdef public TenantHub hub
    cdef public Member member
    cdef public tuple members
    cdef readonly object limits
    cdef readonly object _client
    cdef readonly object _rights
    cdef readonly dict _routes
    cdef object _link
    cdef object _publish_there
    cdef object _dialect
    cdef object _read
    cdef readonly Moment _moment
    cdef object _new_message_id
    cdef object _tally
    cdef object _start
    cdef Template _template
    cdef str _subject
    cdef TokenBucket _bucket
    cdef TokenBucket _patience

    @cython.locals(known=Template, data=bytes)
    cpdef take(self, bytes message)
    cpdef _again(self, str subject, bytes data)
    cpdef _one(self, frame)
    @cython.locals(moment=Moment, wait=double, route=_Route, size=Py_ssize_t, message_id=str, payload=bytes)
    cpdef _publish(self, str subject, data, frame_id, headers, reply_to)
    cpdef _Route _route(self, str text)
