cimport cython

from artcafe.server.domain.rate cimport TokenBucket
from artcafe.server.gateway.hub cimport Member, TenantHub
from artcafe.wire.frames cimport envelope
from artcafe.wire.times cimport rfc3339


cdef class _Route:
    cdef readonly str bus_subject
    cdef readonly object count
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
    cdef object _now
    cdef object _monotonic
    cdef object _new_message_id
    cdef object _counter
    cdef object _start
    cdef TokenBucket _bucket
    cdef TokenBucket _patience

    cpdef take(self, bytes message)
    cpdef _one(self, frame)
    @cython.locals(wait=double, route=_Route, size=Py_ssize_t, message_id=str, now=double, payload=bytes)
    cpdef _publish(self, frame)
    cpdef _Route _route(self, str text)
