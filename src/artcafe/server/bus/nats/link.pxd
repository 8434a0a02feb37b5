cimport cython

from artcafe.server.bus.nats.publish_route cimport PublishRoute, PublishRoutes
from artcafe.server.bus.nats.buffer cimport PublishBuffer
from artcafe.server.bus.nats.window cimport Window


cdef class NatsLink:
    cdef object _dialer
    cdef object _name
    cdef object _patience
    cdef object _loop
    cdef object _connection
    cdef Window _direct
    cdef dict _subscriptions
    cdef PublishBuffer _out
    cdef Py_ssize_t _crowded
    cdef bint _handing
    cdef bint _paused
    cdef PublishRoutes _routes
    cdef bint _echo
    cdef object _info
    cdef readonly Py_ssize_t max_payload
    cdef readonly object inbox
    cdef object _settled
    cdef object _relieved
    cdef readonly bint over
    cdef readonly bint stood
    cdef Py_ssize_t _flushing
    cdef bint _doubt
    cdef bint _told
    cdef readonly Py_ssize_t gaps

    @cython.locals(route=PublishRoute)
    cpdef bint publish(self, str subject, bytes payload)
    cpdef bint _put(self, PublishRoute route, bytes head, bytes payload)
