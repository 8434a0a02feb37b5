cimport cython


cdef class Flushable:
    cpdef flush(self)
    cpdef abort(self)


cdef class TurnScheduler:
    cdef bint _scheduled
    cdef list _callbacks
    cdef list _pending
    cdef public bint sampling
    cdef public object sampled
    cdef bytes _sample
    cdef public object traced
    cdef list _traces

    cpdef at_end(self, callback)
    cpdef flush_at_end(self, Flushable buffer)
    cpdef sample(self, bytes payload)
    cpdef trace(self, str tenant, str subject, bytes payload)
    cpdef _schedule(self)
    @cython.locals(callbacks=list, pending=list, buffer=Flushable, sample=bytes, traces=list)
    cpdef _end(self)
