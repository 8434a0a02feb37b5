cimport cython

from artcafe.server.gateway.delivery cimport Delivery, Shape, Writer
from artcafe.server.gateway.outbox cimport Outboxes


cdef class Topic:
    cdef readonly str pattern
    cdef readonly dict members
    cdef readonly object handle


cdef class Line:
    cdef readonly Topic topic
    cdef readonly str sender
    cdef readonly str subject
    cdef TenantHub _hub
    cdef dict _writers

    cpdef said(self, bytes payload)
    cpdef Writer writer(self, str form, dialect)


cdef class Subscribed:
    cdef readonly object address
    cdef public bint complete
    cdef readonly object queue
    cdef readonly Topic topic


cdef class Member:
    cdef readonly dict subscriptions
    cdef readonly bint stopped
    cdef object _deliver
    cdef object _dialect
    cdef readonly dict _choices
    cdef readonly dict _recent
    cdef object _hears
    cdef Py_ssize_t _delivered

    cpdef changed(self)
    @cython.locals(shape=Shape, joined=bytes, choice=tuple, writer=Writer, more=bint, count=Py_ssize_t)
    cpdef take(self, Line line, Delivery delivery)
    cpdef bint _is_first(self, str message_id, bint more)


cdef class TenantHub:
    cdef readonly object tenant
    cdef readonly object link
    cdef Outboxes _outboxes
    cdef public Py_ssize_t sessions
    cdef Py_ssize_t _gaps
    cdef list _waiting
    cdef bint _confirming
    cdef readonly dict _topics
    cdef readonly dict _lines
    cdef readonly list _runs
    cdef Line _last
    cdef list _latest

    cpdef _arrived(self, Topic topic, str bus_subject, bytes payload)
    cpdef Line _line(self, Topic topic, str bus_subject)
    cpdef keep(self, Line line, bytes payload)
    @cython.locals(runs=list, line=Line, delivery=Delivery, member=Member)
    cpdef _deliver(self)
