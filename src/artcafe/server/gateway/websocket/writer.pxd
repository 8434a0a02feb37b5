cimport cython


cdef class TurnScheduler:
    cdef bint _scheduled
    cdef list _callbacks
    cdef list _due

    cpdef at_end(self, callback)
    cpdef flush_at_end(self, Writer writer)
    cpdef _schedule(self)
    @cython.locals(callbacks=list, writers=list, writer=Writer)
    cpdef _end(self)


cdef class Writer:
    cdef readonly Py_ssize_t size
    cdef TurnScheduler _scheduler
    cdef list _frames
    cdef object _write
    cdef readonly object abort

    cpdef put(self, bytes framed)
    @cython.locals(frames=list)
    cpdef flush(self)
    cpdef clear(self)
