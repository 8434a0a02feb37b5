cimport cython

from artcafe.server.domain.recent cimport Recent
from artcafe.server.gateway.delivery cimport Delivery
from artcafe.server.gateway.member cimport Keeper, Line, Member, Run, Seen, Topic
from artcafe.server.gateway.outbox cimport Outboxes


cdef class TenantHub(Keeper):
    cdef readonly object tenant
    cdef readonly object link
    cdef Outboxes _outboxes
    cdef public Py_ssize_t sessions
    cdef Py_ssize_t _gaps
    cdef list _waiting
    cdef bint _confirming
    cdef readonly dict _topics
    cdef readonly object _groups
    cdef readonly object _interest
    cdef readonly object _counts
    cdef Py_ssize_t _version
    cdef readonly Recent _lines
    cdef readonly Seen _seen
    cdef readonly list _runs
    cdef Line _last
    cdef list _latest
    cdef Py_ssize_t _number
    cdef Py_ssize_t _budget
    cdef readonly bint behind

    @cython.locals(line=Line, more=bint)
    cpdef _arrived(self, Topic topic, str bus_subject, bytes payload)
    cpdef Line _line(self, Topic group, str bus_subject)
    cpdef _update(self, Line line)
    cpdef keep(self, Line line, bytes payload)
    @cython.locals(runs=list, run=Run, count=Py_ssize_t, done=Py_ssize_t, left=Py_ssize_t)
    cpdef _deliver(self)
    @cython.locals(member=Member, members=tuple)
    cpdef Py_ssize_t _advance(self, Run run, Py_ssize_t left) except? -1
    cpdef tuple _members(self, Line line)
