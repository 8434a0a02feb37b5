cimport cython

from artcafe.server.gateway.dialects.rendering cimport Delivery
from artcafe.server.gateway.fanout.subscriber cimport Keeper, Line, Member
from artcafe.server.gateway.websocket.writer cimport Outboxes
from artcafe.server.gateway.fanout.topics cimport Topics


cdef class Run:
    cdef readonly Line line
    cdef readonly Delivery delivery
    cdef readonly Py_ssize_t number
    cdef tuple members
    cdef Py_ssize_t position


cdef class Runs(Keeper):
    cdef object _tenant
    cdef object _link
    cdef Outboxes _outboxes
    cdef Topics _topics
    cdef readonly list waiting
    cdef Line _last
    cdef list _latest
    cdef Py_ssize_t _number
    cdef Py_ssize_t _budget
    cdef readonly bint behind

    cpdef keep(self, Line line, bytes payload)
    @cython.locals(runs=list, run=Run, count=Py_ssize_t, done=Py_ssize_t, left=Py_ssize_t)
    cpdef _deliver(self)
    @cython.locals(member=Member, members=tuple)
    cpdef Py_ssize_t _advance(self, Run run, Py_ssize_t left) except? -1
    cpdef _turn(self, Run run, Line line)
