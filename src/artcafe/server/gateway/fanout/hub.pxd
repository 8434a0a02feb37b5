cimport cython

from artcafe.server.gateway.fanout.acknowledgements cimport Acknowledgements
from artcafe.server.gateway.fanout.duplicate_filter cimport DuplicateFilter
from artcafe.server.gateway.fanout.subscriber cimport MessageRoute, Topic
from artcafe.server.gateway.fanout.delivery_queue cimport DeliveryQueue
from artcafe.server.gateway.fanout.topics cimport Topics


cdef class TenantHub:
    cdef readonly object tenant
    cdef readonly object link
    cdef public Py_ssize_t sessions
    cdef Py_ssize_t _gaps
    cdef readonly Acknowledgements acknowledgements
    cdef readonly object requests
    cdef readonly Topics _topics
    cdef readonly DeliveryQueue _queue
    cdef readonly object channels
    cdef readonly object durable
    cdef readonly object inboxes
    cdef readonly DuplicateFilter _seen
    cdef bytes _from_here
    cdef bytes _beginning

    @cython.locals(route=MessageRoute, more=bint)
    cpdef _arrived(self, Topic topic, str bus_subject, bytes payload)
