from artcafe.wire.frames cimport require_once
from artcafe.wire.payload cimport doubtful


cdef class NativeDialect:
    cpdef read(self, bytes message)
