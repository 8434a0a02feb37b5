cdef class Letter:
    cdef readonly bytes payload
    cdef object _envelope
