cimport cython

from artcafe.server.gateway.delivery cimport Delivery, Shape
from artcafe.server.gateway.letter cimport Letter


cdef class Topic:
    cdef readonly str pattern
    cdef readonly dict members
    cdef readonly object handle


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
    @cython.locals(shape=Shape, frames=list, joined=bytes, letter=Letter, choice=tuple, form=str, more=bint)
    cpdef take(self, Topic topic, Delivery delivery)
    cpdef bint _is_first(self, str message_id, bint more)


cdef class TenantHub:
    cdef readonly object tenant
    cdef readonly object link
    cdef public Py_ssize_t sessions
    cdef Py_ssize_t _gaps
    cdef list _waiting
    cdef bint _confirming
    cdef readonly dict _topics
    cdef readonly list _runs

    cpdef _said(self, Topic topic, str bus_subject, bytes payload)
    cpdef _arrived(self, Topic topic, str bus_subject, bytes payload)
    @cython.locals(runs=list, last=tuple)
    cpdef _keep(self, Topic topic, str bus_subject, Letter letter)
    @cython.locals(topic=Topic, letters=list, delivery=Delivery, member=Member)
    cpdef _deliver(self)
