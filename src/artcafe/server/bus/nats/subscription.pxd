cdef class NatsSubscription:
    cdef public bint open
    cdef readonly str pattern
    cdef readonly object queue
    cdef readonly object deliver
    cdef readonly object missed
    cdef public object number
    cdef object _link
    cdef object _own
