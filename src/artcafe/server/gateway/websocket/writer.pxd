cimport cython


cdef class Outboxes:
    cdef bint _scheduled
    cdef list _works
    cdef list _due

    cpdef first(self, work)
    cpdef due(self, Outbox outbox)
    cpdef _schedule(self)
    @cython.locals(works=list, due=list, outbox=Outbox)
    cpdef _end(self)


cdef class Outbox:
    cdef readonly Py_ssize_t size
    cdef Outboxes _all
    cdef list _frames
    cdef object _write
    cdef readonly object abort

    cpdef put(self, bytes framed)
    @cython.locals(frames=list)
    cpdef flush(self)
    cpdef clear(self)
