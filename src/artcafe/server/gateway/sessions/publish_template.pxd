cimport cython

from artcafe.wire.payload cimport doubtful

cdef char _BRACE
cdef Py_ssize_t _SHORT


cdef class PublishTemplate:
    cdef readonly str subject
    cdef bytes _begins
    cdef Py_ssize_t _size

    @cython.locals(text='const char *', size=Py_ssize_t, data=bytes)
    cpdef bytes data(self, bytes message)
