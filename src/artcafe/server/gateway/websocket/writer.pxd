cimport cython

from artcafe.server.gateway.websocket.turn_scheduler cimport Flushable, TurnScheduler


cdef class Writer(Flushable):
    cdef readonly Py_ssize_t size
    cdef TurnScheduler _scheduler
    cdef list _frames
    cdef object _write
    cdef object _abort

    cpdef put(self, bytes framed)
    @cython.locals(frames=list)
    cpdef flush(self)
    cpdef clear(self)
    cpdef abort(self)
