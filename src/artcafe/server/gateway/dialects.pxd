from artcafe.wire.frames cimport require_once


cdef class Plain:
    cpdef read(self, bytes message)
