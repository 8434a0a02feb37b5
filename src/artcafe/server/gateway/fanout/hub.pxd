cimport cython

from artcafe.server.gateway.fanout.acknowledgements cimport Acknowledgements
from artcafe.server.gateway.fanout.subscriber cimport Line, Seen, Topic
from artcafe.server.gateway.fanout.delivery_queue cimport Runs
from artcafe.server.gateway.fanout.topics cimport Topics


cdef class TenantHub:
    cdef readonly object tenant
    cdef readonly object link
    cdef public Py_ssize_t sessions
    cdef Py_ssize_t _gaps
    cdef readonly Acknowledgements acknowledgements
    cdef readonly Topics _topics
    cdef readonly Runs _runs
    cdef readonly Seen _seen
    cdef bytes _from_here
    cdef bytes _beginning

    @cython.locals(line=Line, more=bint)
    cpdef _arrived(self, Topic topic, str bus_subject, bytes payload)
