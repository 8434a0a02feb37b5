cimport cython


cdef class Outboxes:
    cdef list _due

    cpdef due(self, Outbox outbox)
    @cython.locals(due=list, outbox=Outbox)
    cpdef _flush(self)


cdef class Outbox:
    cdef readonly Py_ssize_t size
    cdef Outboxes _all
    cdef list _frames
    cdef object _write

    cpdef put(self, bytes framed)
    @cython.locals(frames=list)
    cpdef flush(self)
    cpdef clear(self)
