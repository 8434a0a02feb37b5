cimport cython

from artcafe.server.domain.quota cimport Quota
from artcafe.server.domain.rate cimport TokenBucket
from artcafe.server.domain.tally cimport Tally
from artcafe.wire.envelopes cimport envelope


cdef class MessageClock:
    cdef object _clock
    cdef readonly double monotonic
    cdef readonly double now
    cdef readonly bytes stamp

    cpdef read(self)
    cpdef take(self)


cdef class Destination:
    cdef readonly str bus_subject
    cdef readonly Py_ssize_t max_bytes
    cdef readonly Tally tally
    cdef readonly str stream
    cdef readonly str subject
    cdef readonly str owner


@cython.final
cdef class Publisher:
    cdef MessageClock _clock
    cdef object _new_message_id
    cdef object _tally
    cdef object _trace
    cdef readonly object tenant
    cdef str _sender
    cdef object _counted_as
    cdef object _permit
    cdef Py_ssize_t _max_bytes
    cdef TokenBucket _bucket
    cdef Quota _quota
    cdef object _publish_there
    cdef object _store_there
    cdef readonly dict _destinations
    cdef readonly bint roomy
    cdef readonly object receipt

    cpdef str publish(self, str subject, data, headers, reply_to, dedup=*)
    @cython.locals(wait=double)
    cpdef spend(self)
    @cython.locals(clock=MessageClock, destination=Destination, size=Py_ssize_t, message_id=str, payload=bytes)
    cpdef str _send(self, str subject, data, headers, reply_to, dedup, ask_there, terms)
    cpdef _store(self, Destination destination, bytes payload, dedup, Py_ssize_t size)
    cpdef _put(self, Destination destination, bytes payload, dedup, Py_ssize_t size, terms)
    cpdef _stored(self, receipt, Destination destination, Py_ssize_t size)
    cpdef Destination _ask(self, str text)
