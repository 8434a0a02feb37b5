from artcafe.server.gateway.sessions.agent_session cimport AgentSession


cdef class Connection:
    cdef object __weakref__
    cdef readonly str id
    cdef readonly str remote
    cdef readonly object since
    cdef readonly object claim
    cdef readonly object dialect
    cdef readonly object authorization
    cdef public AgentSession session
    cdef public object peer
    cdef readonly Py_ssize_t frames_in
    cdef public Py_ssize_t frames_out
    cdef readonly object ended_by
    cdef bint _gone
    cdef bint _sent_away
    cdef object _left
    cdef bint _ended
    cdef object _host
    cdef object _proof
    cdef readonly object _backlog
    cdef bint _busy
    cdef Py_ssize_t _owed
    cdef Py_ssize_t _silent
    cdef object _proving_since

    cpdef text(self, bytes message)
    cpdef deliver(self, bytes framed)
    cpdef bint gone(self)
