cimport cython

from artcafe.server.domain.recent cimport Recent
from artcafe.server.gateway.dialects.rendering cimport Delivery, Shape, Writer


cdef class Keeper:
    cpdef keep(self, Line line, bytes payload)


cdef class Topic:
    cdef readonly str pattern
    cdef readonly object queue
    cdef readonly dict members
    cdef public bint alive
    cdef readonly object handle


cdef class Line:
    cdef readonly Topic group
    cdef readonly str bus_subject
    cdef readonly str sender
    cdef readonly str subject
    cdef public tuple patterns
    cdef public tuple topics
    cdef public Py_ssize_t version
    cdef object _tenant
    cdef Keeper _keeper
    cdef dict _writers

    cpdef tuple choice(self, str form, dialect, int checks)


cdef class Subscribed:
    cdef readonly object address
    cdef public bint complete
    cdef readonly object queue
    cdef readonly Topic topic
    cdef readonly Py_ssize_t number


cdef class Seen:
    cdef readonly dict ids
    cdef Py_ssize_t _most
    cdef Py_ssize_t _count

    cpdef bint is_first(self, name, bint more)


cdef class Member:
    cdef readonly dict subscriptions
    cdef readonly bint stopped
    cdef public bint drained
    cdef public Py_ssize_t upto
    cdef object _deliver
    cdef object _end
    cdef object _dialect
    cdef readonly Recent _choices
    cdef readonly Seen _seen
    cdef readonly dict _cutovers
    cdef object _hears
    cdef Py_ssize_t _delivered
    cdef Py_ssize_t _subscribed
    cdef readonly object _overlap
    cdef readonly dict _by_pattern

    cpdef changed(self)
    @cython.locals(shape=Shape, joined=bytes, choice=tuple, writer=Writer, checks=int, count=Py_ssize_t)
    cpdef Py_ssize_t take(self, Line line, Delivery delivery) except -1
