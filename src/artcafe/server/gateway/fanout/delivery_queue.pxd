cimport cython

from artcafe.server.gateway.dialects.rendering cimport MessageBatch
from artcafe.server.gateway.fanout.subscriber cimport MessageSink, MessageRoute, Subscriber
from artcafe.server.gateway.websocket.turn_scheduler cimport TurnScheduler
from artcafe.server.gateway.fanout.topics cimport Topics
from artcafe.wire.envelopes cimport is_request


cdef class QueuedBatch:
    cdef readonly MessageRoute route
    cdef readonly MessageBatch batch
    cdef readonly Py_ssize_t number
    cdef tuple subscribers
    cdef Py_ssize_t position


cdef class DeliveryQueue(MessageSink):
    cdef object _tenant
    cdef object _link
    cdef TurnScheduler _scheduler
    cdef Topics _topics
    cdef readonly list waiting
    cdef MessageRoute _last
    cdef list _latest
    cdef Py_ssize_t _number
    cdef Py_ssize_t _budget
    cdef readonly bint behind
    cdef object _requested

    cpdef enqueue(self, MessageRoute route, bytes payload)
    @cython.locals(waiting=list, queued=QueuedBatch, count=Py_ssize_t, done=Py_ssize_t, left=Py_ssize_t)
    cpdef _deliver(self)
    @cython.locals(subscriber=Subscriber, subscribers=tuple)
    cpdef Py_ssize_t _advance(self, QueuedBatch queued, Py_ssize_t left) except? -1
    cpdef _turn(self, QueuedBatch queued, MessageRoute route)
