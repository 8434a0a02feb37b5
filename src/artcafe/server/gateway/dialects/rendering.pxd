cimport cython


cdef class Delivery:
    cdef readonly list payloads
    cdef list _letters
    cdef list _shapes

    @cython.locals(shape=Shape)
    cpdef Shape shape(self, Writer writer)


cdef class Shape:
    cdef readonly Writer writer
    cdef readonly bytes joined
    cdef readonly Py_ssize_t count
    cdef list _pieces
    cdef list _letters


cdef class Writer:
    cpdef Shape write(self, Delivery delivery)


cdef class Teller(Writer):
    cdef str _name
    cdef object _tell
    cdef object _tenant
    cdef str _subject
    cdef str _sender

    cpdef Shape write(self, Delivery delivery)


cdef class Splicer(Writer):
    cdef bytes _opening
    cdef Py_ssize_t _size
    cdef bytes _head

    @cython.locals(pieces=list, payload=bytes, text='const char *', size=Py_ssize_t)
    cpdef Shape write(self, Delivery delivery)
