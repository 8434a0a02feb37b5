cimport cython

from artcafe.server.domain.recent cimport Recent
from artcafe.server.gateway.dialects.rendering cimport MessageBatch, EncodedBatch, Encoder
from artcafe.server.gateway.fanout.duplicate_filter cimport DuplicateFilter


cdef class MessageSink:
    cpdef enqueue(self, MessageRoute route, bytes payload)


cdef class Topic:
    cdef readonly str pattern
    cdef readonly object queue
    cdef readonly dict subscribers
    cdef public bint alive
    cdef readonly object handle


cdef class MessageRoute:
    cdef readonly Topic group
    cdef readonly str bus_subject
    cdef readonly str sender
    cdef readonly str subject
    cdef public tuple patterns
    cdef public tuple topics
    cdef public Py_ssize_t version
    cdef public object stream
    cdef object _tenant
    cdef MessageSink _sink
    cdef dict _encoders

    cpdef tuple choice(self, str form, dialect, int checks)


cdef class ClientSubscription:
    cdef readonly object address
    cdef public object channel
    cdef public bint complete
    cdef readonly object queue
    cdef readonly Topic topic
    cdef readonly Py_ssize_t number


cdef class Subscriber:
    cdef readonly dict subscriptions
    cdef readonly bint stopped
    cdef public bint drained
    cdef public Py_ssize_t upto
    cdef public object responder
    cdef object _deliver
    cdef object _end
    cdef object _dialect
    cdef readonly Recent _choices
    cdef readonly DuplicateFilter _seen
    cdef readonly dict _cutovers
    cdef readonly dict recoveries
    cdef readonly object reading
    cdef object _hears
    cdef Py_ssize_t _delivered
    cdef Py_ssize_t _subscribed
    cdef readonly object _overlap
    cdef readonly dict _by_pattern

    cpdef changed(self)
    @cython.locals(encoded=EncodedBatch, joined=bytes, choice=tuple, encoder=Encoder, checks=int, count=Py_ssize_t)
    cpdef Py_ssize_t take(self, MessageRoute route, MessageBatch batch) except -1
