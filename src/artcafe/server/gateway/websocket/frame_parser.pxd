cdef class FrameParser:
    cdef readonly object protocol
    cdef readonly bint swollen
    cdef object _transport
    cdef object _listener
    cdef object _writer
    cdef object _leave
    cdef object _most_bytes
